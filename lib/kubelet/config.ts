import { kubeletSchema } from "../config/kubelet-schema.ts";
import { withZeros } from "../config/schema.ts";
import type { ComponentConfig, InitConfig } from "../config/types.ts";
import { EMPTY_RESOLV_CONF, HOST_RESOLV_CONF, MANIFESTS_DIR } from "../constants/paths.ts";
import { KUBELET_HEALTHZ_PORT } from "../constants/ports.ts";
import type { HostFacts } from "../host/facts.ts";
import { indexedIp, parseCidr } from "../host/net.ts";

/** A setting that was chosen because of the host, and why; each is printed. */
export interface Adaptation {
  setting: string;
  why: string;
}

/** The cluster DNS Service's address: the tenth of each service network (kubeadm constants.GetDNSIP). */
export function dnsAddresses(config: InitConfig): string[] {
  return config.cluster.networking.serviceSubnet.split(",").map((subnet) => indexedIp(parseCidr(subnet)!, 10)!);
}

/**
 * The KubeletConfiguration that kubeadm would keep in the cluster (kubeadm componentconfigs/kubelet.go), fitted to this
 * host where the user has not decided otherwise.
 */
export function kubeletConfig(
  config: InitConfig,
  facts: Pick<HostFacts, "cgroupVersion" | "swap" | "resolvConf" | "hostResolvConf">,
  cgroupDriver: "systemd" | "cgroupfs" | undefined,
): { config: ComponentConfig; adaptations: Adaptation[] } {
  const user = config.kubelet ?? {};
  const adaptations: Adaptation[] = [];
  const chosen: ComponentConfig = {};
  const adapt = (field: string, value: unknown, why: string) => {
    if (user[field] !== undefined) return;
    chosen[field] = value;
    adaptations.push({ setting: `kubelet ${field}: ${JSON.stringify(value)}`, why });
  };
  if (facts.cgroupVersion === 1)
    adapt("failCgroupV1", false, "this kernel runs cgroup v1, which the kubelet refuses unless told otherwise");
  if (facts.swap)
    adapt("failSwapOn", false, "swap is on; pods get none of it, but the kubelet must not refuse to start");
  if (cgroupDriver) adapt("cgroupDriver", cgroupDriver, "that is what the container runtime uses");
  if (!facts.resolvConf) {
    const why = facts.hostResolvConf.nameservers.length === 0 ? "has no nameserver" : "has only loopback nameservers";
    adapt("resolvConf", EMPTY_RESOLV_CONF, `${facts.hostResolvConf.path} ${why}, and a pod that asks itself loops`);
  } else if (facts.resolvConf.path !== HOST_RESOLV_CONF) {
    adapt(
      "resolvConf",
      facts.resolvConf.path,
      `${HOST_RESOLV_CONF} points to a loopback stub, and this file has the real nameservers`,
    );
  }
  const merged: ComponentConfig = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    staticPodPath: MANIFESTS_DIR,
    clusterDNS: dnsAddresses(config),
    clusterDomain: config.cluster.networking.dnsDomain,
    cgroupDriver: "systemd",
    healthzBindAddress: "127.0.0.1",
    healthzPort: KUBELET_HEALTHZ_PORT,
    rotateCertificates: true,
    ...chosen,
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
  return { config: withZeros(merged, kubeletSchema) as ComponentConfig, adaptations };
}

function mergeObject(defaults: ComponentConfig, user: unknown): ComponentConfig {
  const out: ComponentConfig = { ...defaults };
  for (const [key, value] of Object.entries((user ?? {}) as ComponentConfig)) {
    const nested = value !== null && typeof value === "object" && !Array.isArray(value);
    out[key] = nested ? mergeObject((out[key] ?? {}) as ComponentConfig, value) : value;
  }
  return out;
}
