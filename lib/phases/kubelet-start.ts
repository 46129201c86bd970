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
import { KubestickError } from "../errors.ts";
import { makeCgroupRoot } from "../host/cgroups.ts";
import { findProgram, type HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import type { Ledger } from "../host/ledger.ts";
import { ownResolvConf } from "../host/resolv-conf.ts";
import { kubeletFlags } from "../kubelet/flags.ts";
import type { NodeIp } from "../kubelet/node-ip.ts";
import { clusterDns } from "../kubelet/resolv-conf.ts";
import { kubeletService } from "../kubelet/service.ts";
import { applyPatches, type Patch } from "../manifests/patches.ts";
import type { ServiceManagerControl } from "../services/service.ts";
import type { Ui } from "../ui/ui.ts";
import { startServiceRoutes } from "./network.ts";

/** The node that a kubelet is started on: init's and join's contexts both are one. */
export interface KubeletHost {
  facts: HostFacts;
  files: Files;
  ledger: Ledger;
  ui: Ui;
  services: ServiceManagerControl;
  patches: Patch[];
  options: { dryRun: boolean };
}

/**
 * Writes a kubelet's flags and configuration and starts it as a service (kubeadm kubelet/config.go and flags.go). The
 * CRI socket is this node's own and stays out of the cluster's ConfigMap (feature NodeLocalCRISocket). A kubelet that
 * runs with exactly this already is left alone. `nodeIp` finds out what it must be told of this host's addresses. Before
 * it starts anything, the host gets its routes to the Services' ranges.
 */
export async function startKubelet(
  ctx: KubeletHost,
  node: NodeRegistration,
  kubelet: ComponentConfig,
  options: { registerTaints?: boolean; nodeIp: () => Promise<NodeIp>; serviceRanges: string[] },
): Promise<void> {
  const { ledger, ui } = ctx;
  const given = node.kubeletExtraArgs?.findLast(({ name }) => name === "node-ip")?.value;
  const { flag, lacks } = given === undefined ? await options.nodeIp() : {};
  if (flag) ui.step("kubelet-start", `kubelet node-ip: ${flag.value} (because ${flag.why})`);
  if (lacks)
    ui.warn(
      `this cluster's pods have IPv${lacks} addresses, and this host has none of its own: other nodes do not reach its pods by IPv${lacks}`,
    );
  if (kubelet["resolvConf"] === OWN_RESOLV_CONF) {
    ledger.claim(OWN_RESOLV_CONF);
    ctx.files.write(OWN_RESOLV_CONF, ownResolvConf(ctx.facts.resolvConfs, clusterDns(kubelet)), { mode: 0o644 });
  }
  const instance = {
    apiVersion: kubelet["apiVersion"],
    kind: kubelet["kind"],
    containerRuntimeEndpoint: node.criSocket,
  };
  const local = applyPatches(
    { ...kubelet, containerRuntimeEndpoint: node.criSocket },
    "kubeletconfiguration",
    ctx.patches,
  );
  const wanted: [string, string][] = [
    [
      KUBELET_FLAGS_FILE,
      kubeletFlags(node, ctx.facts.hostname, { registerTaints: options.registerTaints, nodeIp: flag?.value }),
    ],
    [KUBELET_INSTANCE_CONFIG_FILE, documentText(instance)],
    [KUBELET_CONFIG_FILE, documentText(local)],
  ];
  // The mark outlives a crash between writing and restarting, so that a kubelet never goes on with an old configuration.
  if (wanted.some(([path, text]) => ctx.files.readText(path) !== text)) ctx.files.write(KUBELET_RESTART_MARK, "");
  // The kubelet package leaves a default configuration at this path, which kubeadm replaces as well.
  for (const [path, text] of wanted) ledger.replace(path, text, { mode: 0o644 });
  ui.step("kubelet-start", `Writing kubelet environment file with flags to file "${KUBELET_FLAGS_FILE}"`);
  ui.step("kubelet-start", `Writing kubelet configuration to file "${KUBELET_CONFIG_FILE}"`);
  // kubeadm's packages bring it; a kubelet that finds none complains of it every second.
  if (local["staticPodPath"] === MANIFESTS_DIR) ctx.files.mkdir(MANIFESTS_DIR);
  // Before the API server runs here: it calls webhooks by their Services.
  startServiceRoutes(ctx, {
    ranges: options.serviceRanges,
    nodeAddresses: (given ?? flag?.value)?.split(",") ?? [],
  });
  if (ctx.options.dryRun) {
    ctx.files.remove(KUBELET_RESTART_MARK);
    ui.step("kubelet-start", `Would start the kubelet under ${ctx.services.name}`);
    return;
  }
  ledger.claimMissing([XTABLES_LOCK]);
  const root = kubelet["cgroupRoot"];
  if (typeof root === "string" && root.startsWith(CGROUP_ROOT_PREFIX)) makeCgroupRoot(root, ctx.facts.cgroupVersion);
  const program = findProgram("kubelet");
  if (!program) {
    throw new KubestickError("there is no kubelet on this host (looked in PATH)", {
      hint: "install the kubelet of the version shown by: kubestick version",
    });
  }
  const installed = ctx.services.install(kubeletService(program));
  if (installed) ledger.noteService("kubelet");
  if (!installed && !ctx.files.exists(KUBELET_RESTART_MARK) && ctx.services.isActive("kubelet")) {
    ui.step("kubelet-start", "The kubelet already runs with this configuration");
    return;
  }
  await ctx.services.restart("kubelet");
  ctx.files.remove(KUBELET_RESTART_MARK);
  ui.step("kubelet-start", `Starting the kubelet under ${ctx.services.name}`);
}
