import type { InitConfig } from "../config/init-config.ts";
import type { ComponentConfig } from "../config/kind.ts";
import { dnsAddresses, FAIL_SWAP_ON, kubelet } from "../config/kinds/kubelet.ts";
import { toDocument } from "../config/write.ts";
import { HOST_RESOLV_CONF } from "../constants/paths.ts";
import type { HostFacts } from "../host/facts.ts";
import { podResolvConf } from "../host/resolv-conf.ts";
import { clusterDns } from "./resolv-conf.ts";

/** A setting that was chosen because of the host, and why; each is printed. */
export interface Adaptation {
  setting: string;
  why: string;
}

/** What fitting a kubelet to a host looks at. */
export type KubeletFacts = Pick<HostFacts, "cgroupVersion" | "cgroupRoot" | "swap" | "resolvConfs">;
type CgroupDriver = "systemd" | "cgroupfs" | undefined;

/** Settings that belong to one node and stay out of the cluster's ConfigMap, as with kubeadm (KubeletConfiguration Mutate). */
const NODE_LOCAL = new Set(["resolvConf", "cgroupRoot"]);

/** The kubelet settings that a host asks for, each with the reason. `dns` are the addresses of the cluster's own DNS. */
function hostSettings(
  facts: KubeletFacts,
  driver: CgroupDriver,
  dns: string[],
): { field: string; value: unknown; why: string }[] {
  const settings: { field: string; value: unknown; why: string }[] = [];
  const add = (field: string, value: unknown, why: string) => settings.push({ field, value, why });
  if (facts.cgroupVersion === 1) {
    add("failCgroupV1", false, "this kernel runs cgroup v1, which the kubelet refuses unless told otherwise");
  }
  if (facts.swap)
    add("failSwapOn", FAIL_SWAP_ON, "swap is on; pods get none of it, but the kubelet must not refuse to start");
  if (driver) add("cgroupDriver", driver, "that is what the container runtime uses");
  if (facts.cgroupRoot) {
    const why = "other kubelets may run on this kernel, and two that share a cgroup root kill each other's pods";
    add("cgroupRoot", facts.cgroupRoot, why);
  }
  const { path, why } = podResolvConf(facts.resolvConfs, dns);
  if (path !== HOST_RESOLV_CONF && why) add("resolvConf", path, why);
  return settings;
}

const told = (field: string, value: unknown, why: string): Adaptation => ({
  setting: `kubelet ${field}: ${JSON.stringify(value)}`,
  why,
});

/** The cluster's kubelet configuration on a joining node: fitted to this host, where the administrator's would not run. */
export function fitKubeletConfig(
  shared: ComponentConfig,
  facts: KubeletFacts,
  driver: CgroupDriver,
): { local: ComponentConfig; adaptations: Adaptation[] } {
  const local: ComponentConfig = { failSwapOn: FAIL_SWAP_ON, ...shared };
  const adaptations: Adaptation[] = [];
  for (const { field, value, why } of hostSettings(facts, driver, clusterDns(shared))) {
    const decided = NODE_LOCAL.has(field) && shared[field] !== undefined;
    if (decided || shared[field] === value) continue;
    local[field] = value;
    adaptations.push(told(field, value, why));
  }
  return { local: toDocument(kubelet, local), adaptations };
}

/**
 * The KubeletConfiguration that kubeadm would keep in the cluster (`shared`; kubeadm componentconfigs/kubelet.go) and
 * the one that runs on this host (`local`), fitted to it where the user has not decided otherwise.
 */
export function kubeletConfig(
  config: InitConfig,
  facts: KubeletFacts,
  driver: CgroupDriver,
): { shared: ComponentConfig; local: ComponentConfig; adaptations: Adaptation[] } {
  const user = config.kubelet ?? {};
  const dns = user["clusterDNS"] === undefined ? dnsAddresses(config.cluster.networking) : clusterDns(user);
  const settings = hostSettings(facts, driver, dns).filter(({ field }) => user[field] === undefined);
  const chosen = (local: boolean) =>
    Object.fromEntries(settings.filter(({ field }) => NODE_LOCAL.has(field) === local).map((s) => [s.field, s.value]));
  const shared = kubelet.defaults({ ...chosen(false), ...user }, config.cluster);
  return {
    shared: toDocument(kubelet, shared),
    local: toDocument(kubelet, { ...shared, ...chosen(true) }),
    adaptations: settings.map(({ field, value, why }) => told(field, value, why)),
  };
}
