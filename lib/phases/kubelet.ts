import type { ComponentConfig } from "../config/kind.ts";
import type { NodeRegistration } from "../config/kinds/fields.ts";
import { documentText } from "../config/write.ts";
import {
  CGROUP_ROOT_PREFIX,
  KUBELET_CONFIG_FILE,
  KUBELET_FLAGS_FILE,
  KUBELET_INSTANCE_CONFIG_FILE,
  KUBELET_RESTART_MARK,
  MANIFESTS_DIR,
  OWN_RESOLV_CONF,
  XTABLES_LOCK,
} from "../constants/paths.ts";
import type { Node } from "../edge/node.ts";
import { KubestickError } from "../errors.ts";
import { ownResolvConf } from "../host/resolv-conf.ts";
import { kubeletFlags } from "../kubelet/flags.ts";
import type { NodeIp } from "../kubelet/node-ip.ts";
import { clusterDns } from "../kubelet/resolv-conf.ts";
import { kubeletService } from "../kubelet/service.ts";
import { applyPatches } from "../manifests/patches.ts";
import type { Step } from "./runner.ts";

/** How a kubelet is started. */
export interface KubeletStart {
  registration: NodeRegistration;
  /** Its whole configuration, fitted to this host. */
  config: ComponentConfig;
  /** Whether the node gets its taints from the kubelet. */
  registerTaints?: boolean;
  /** Finds out what it must be told of this host's addresses. */
  nodeIp: () => Promise<NodeIp>;
  /** The ranges of the cluster's Services, in CIDR notation. */
  serviceRanges: string[];
}

/**
 * Writes a kubelet's flags and configuration and starts it as a service (kubeadm kubelet/config.go and flags.go). The
 * CRI socket is this node's own and stays out of the cluster's ConfigMap (feature NodeLocalCRISocket). A kubelet that
 * runs with exactly this already is left alone. Before it starts anything, the host gets its routes to the Services'
 * ranges. Throws KubestickError.
 */
export async function startKubelet(node: Node, start: KubeletStart, step: Step): Promise<void> {
  const { ledger, ui, files, facts, kernel, services } = node;
  const { registration, config: kubelet } = start;
  const given = registration.kubeletExtraArgs?.findLast(({ name }) => name === "node-ip")?.value;
  const { flag, lacks } = given === undefined ? await start.nodeIp() : {};
  if (flag) step(`kubelet node-ip: ${flag.value} (because ${flag.why})`);
  if (lacks)
    ui.warn(
      `this cluster's pods have IPv${lacks} addresses, and this host has none of its own: other nodes do not reach its pods by IPv${lacks}`,
    );
  if (kubelet["resolvConf"] === OWN_RESOLV_CONF) {
    ledger.claim(OWN_RESOLV_CONF);
    files.write(OWN_RESOLV_CONF, ownResolvConf(facts.resolvConfs, clusterDns(kubelet)), { mode: 0o644 });
  }
  const instance = {
    apiVersion: kubelet["apiVersion"],
    kind: kubelet["kind"],
    containerRuntimeEndpoint: registration.criSocket,
  };
  const local = applyPatches(
    { ...kubelet, containerRuntimeEndpoint: registration.criSocket },
    "kubeletconfiguration",
    node.patches(),
  );
  const wanted: [string, string][] = [
    [
      KUBELET_FLAGS_FILE,
      kubeletFlags(registration, facts.hostname, { registerTaints: start.registerTaints, nodeIp: flag?.value }),
    ],
    [KUBELET_INSTANCE_CONFIG_FILE, documentText(instance)],
    [KUBELET_CONFIG_FILE, documentText(local)],
  ];
  // The mark outlives a crash between writing and restarting, so that a kubelet never goes on with an old configuration.
  if (wanted.some(([path, text]) => files.readText(path) !== text)) files.write(KUBELET_RESTART_MARK, "");
  // The kubelet package leaves a default configuration at this path, which kubeadm replaces as well.
  for (const [path, text] of wanted) ledger.replace(path, text, { mode: 0o644 });
  step(`Writing kubelet environment file with flags to file "${KUBELET_FLAGS_FILE}"`);
  step(`Writing kubelet configuration to file "${KUBELET_CONFIG_FILE}"`);
  // kubeadm's packages bring it; a kubelet that finds none complains of it every second.
  if (local["staticPodPath"] === MANIFESTS_DIR) files.mkdir(MANIFESTS_DIR);
  // Before the API server runs here: it calls webhooks by their Services.
  const refusals = kernel.routeServices(
    { ranges: start.serviceRanges, nodeAddresses: (given ?? flag?.value)?.split(",") ?? [] },
    step,
  );
  for (const refusal of refusals) ui.warn(refusal);
  ledger.claimMissing([XTABLES_LOCK]);
  const root = kubelet["cgroupRoot"];
  if (typeof root === "string" && root.startsWith(CGROUP_ROOT_PREFIX)) kernel.makeCgroupRoot(root, facts.cgroupVersion);
  const program = node.programs.find("kubelet");
  if (!program) {
    throw new KubestickError("there is no kubelet on this host (looked in PATH)", {
      hint: "install the kubelet of the version shown by: kubestick version",
    });
  }
  const installed = services.install(kubeletService(program));
  if (installed) ledger.noteService("kubelet");
  if (!installed && !files.exists(KUBELET_RESTART_MARK) && services.isActive("kubelet")) {
    step("The kubelet already runs with this configuration");
    return;
  }
  await services.start("kubelet", "the kubelet", step);
  files.remove(KUBELET_RESTART_MARK);
}
