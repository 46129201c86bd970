import type { ComponentConfig, NodeRegistration } from "../config/types.ts";
import {
  CGROUP_ROOT_PREFIX,
  KUBELET_CONFIG_FILE,
  KUBELET_FLAGS_FILE,
  KUBELET_INSTANCE_CONFIG_FILE,
  KUBELET_RESTART_MARK,
  OWN_RESOLV_CONF,
  XTABLES_LOCK,
} from "../constants/paths.ts";
import type { Edges } from "../edge/edges.ts";
import { KubestickError } from "../errors.ts";
import type { HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import type { Ledger } from "../host/ledger.ts";
import { ownResolvConf } from "../host/resolv-conf.ts";
import { kubeletFlags } from "../kubelet/flags.ts";
import type { NodeIp } from "../kubelet/node-ip.ts";
import { clusterDns } from "../kubelet/resolv-conf.ts";
import { applyPatches, type Patch } from "../manifests/patches.ts";
import { kubeletService } from "../services/service.ts";
import type { Ui } from "../ui/ui.ts";
import { sortedYaml } from "../yaml/write.ts";

/** The node that a kubelet is started on: init's and join's contexts both are one. */
export interface KubeletHost extends Pick<Edges, "services" | "kernel" | "programs"> {
  facts: HostFacts;
  files: Files;
  ledger: Ledger;
  ui: Ui;
  patches: Patch[];
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
  const say = (text: string) => ui.step("kubelet-start", text);
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
    [KUBELET_INSTANCE_CONFIG_FILE, sortedYaml(instance)],
    [KUBELET_CONFIG_FILE, sortedYaml(local)],
  ];
  // The mark outlives a crash between writing and restarting, so that a kubelet never goes on with an old configuration.
  if (wanted.some(([path, text]) => ctx.files.readText(path) !== text)) ctx.files.write(KUBELET_RESTART_MARK, "");
  // The kubelet package leaves a default configuration at this path, which kubeadm replaces as well.
  for (const [path, text] of wanted) ledger.replace(path, text, { mode: 0o644 });
  ui.step("kubelet-start", `Writing kubelet environment file with flags to file "${KUBELET_FLAGS_FILE}"`);
  ui.step("kubelet-start", `Writing kubelet configuration to file "${KUBELET_CONFIG_FILE}"`);
  // Before the API server runs here: it calls webhooks by their Services.
  const refusals = ctx.kernel.routeServices(
    { ranges: options.serviceRanges, nodeAddresses: (given ?? flag?.value)?.split(",") ?? [] },
    say,
  );
  for (const refusal of refusals) ui.warn(refusal);
  ledger.claimMissing([XTABLES_LOCK]);
  const root = kubelet["cgroupRoot"];
  if (typeof root === "string" && root.startsWith(CGROUP_ROOT_PREFIX))
    ctx.kernel.makeCgroupRoot(root, ctx.facts.cgroupVersion);
  const program = ctx.programs.find("kubelet");
  if (!program) {
    throw new KubestickError("there is no kubelet on this host (looked in PATH)", {
      hint: "install the kubelet of the version shown by: kubestick version",
    });
  }
  const installed = ctx.services.install(kubeletService(program));
  if (!installed && !ctx.files.exists(KUBELET_RESTART_MARK) && ctx.services.isActive("kubelet")) {
    ui.step("kubelet-start", "The kubelet already runs with this configuration");
    return;
  }
  await ctx.services.start("kubelet", "the kubelet", say);
  ctx.files.remove(KUBELET_RESTART_MARK);
}
