import { kubeletSchema } from "../config/kubelet-schema.ts";
import { withZeros } from "../config/schema.ts";
import type { ComponentConfig, InitConfig } from "../config/types.ts";
import { HOST_RESOLV_CONF, MANIFESTS_DIR } from "../constants/paths.ts";
import { KUBELET_HEALTHZ_PORT } from "../constants/ports.ts";
import type { HostFacts } from "../host/facts.ts";
import { podResolvConf } from "../host/resolv-conf.ts";
import { indexedIp, parseCidr } from "../net/ip.ts";
import { clusterDns } from "./resolv-conf.ts";

/** A setting that was chosen because of the host, and why; each is printed. */
export interface Adaptation {
  setting: string;
  why: string;
}

/** The cluster DNS Service's address: the tenth of each service network (kubeadm constants.GetDNSIP). */
export function dnsAddresses(config: InitConfig): string[] {
  return config.cluster.networking.serviceSubnet.split(",").map((subnet) => indexedIp(parseCidr(subnet)!, 10)!);
}

/** What fitting a kubelet to a host looks at. */
export type KubeletFacts = Pick<HostFacts, "cgroupVersion" | "cgroupRoot" | "swap" | "resolvConfs">;
type CgroupDriver = "systemd" | "cgroupfs" | undefined;

/** Settings that belong to one node and stay out of the cluster's ConfigMap, as with kubeadm (KubeletConfiguration Mutate). */
const NODE_LOCAL = new Set(["resolvConf", "cgroupRoot"]);

/**
 * Swap can be switched on at any time (zram when a board boots, a swap file), and a kubelet that minds does not start
 * again then. Pods get none of it (memorySwap, NoSwap), so that it does no harm.
 */
const FAIL_SWAP_ON = false;

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
  return { local: withZeros(local, kubeletSchema) as ComponentConfig, adaptations };
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
  const dns = user["clusterDNS"] === undefined ? dnsAddresses(config) : clusterDns(user);
  const settings = hostSettings(facts, driver, dns).filter(({ field }) => user[field] === undefined);
  const chosen = (local: boolean) =>
    Object.fromEntries(settings.filter(({ field }) => NODE_LOCAL.has(field) === local).map((s) => [s.field, s.value]));
  const merged: ComponentConfig = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    staticPodPath: MANIFESTS_DIR,
    clusterDNS: dnsAddresses(config),
    clusterDomain: config.cluster.networking.dnsDomain,
    cgroupDriver: "systemd",
    failSwapOn: FAIL_SWAP_ON,
    healthzBindAddress: "127.0.0.1",
    healthzPort: KUBELET_HEALTHZ_PORT,
    rotateCertificates: true,
    ...chosen(false),
    ...user,
    authentication: mergeObject(
      {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: `${config.cluster.certificatesDir}/ca.crt` },
      },
      user["authentication"],
    ),
    authorization: mergeObject({ mode: "Webhook" }, user["authorization"]),
  };
  return {
    shared: withZeros(merged, kubeletSchema) as ComponentConfig,
    local: withZeros({ ...merged, ...chosen(true) }, kubeletSchema) as ComponentConfig,
    adaptations: settings.map(({ field, value, why }) => told(field, value, why)),
  };
}

function mergeObject(defaults: ComponentConfig, user: unknown): ComponentConfig {
  const out: ComponentConfig = { ...defaults };
  for (const [key, value] of Object.entries((user ?? {}) as ComponentConfig)) {
    const nested = value !== null && typeof value === "object" && !Array.isArray(value);
    out[key] = nested ? mergeObject((out[key] ?? {}) as ComponentConfig, value) : value;
  }
  return out;
}
