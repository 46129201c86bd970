import { KUBE_PROXY_MODE_VERSION } from "../constants/versions.ts";
import { contains, joinHostPort, parseCidr, splitHostPort } from "../net/ip.ts";
import { isSince } from "../util/version.ts";
import { checkFamilies } from "./checks/networks.ts";
import type { ComponentConfig, HostDefaults } from "./kind.ts";
import { type ClusterConfiguration, cluster as clusterKind } from "./kinds/cluster.ts";
import { type InitConfiguration, init as initKind } from "./kinds/init.ts";
import { checkDocuments, type ParsedConfig } from "./load.ts";
import { ConfigError } from "./problems.ts";

/** Everything that `init` works from. */
export interface InitConfig extends InitConfiguration {
  cluster: ClusterConfiguration;
  /** The user's KubeletConfiguration and KubeProxyConfiguration, undefined where none was given. */
  kubelet?: ComponentConfig;
  kubeProxy?: ComponentConfig;
}

/**
 * The configuration that `init` runs with: what was parsed, with kubeadm's defaults for the rest. Throws ConfigError
 * with every problem when there is any.
 */
export function initConfig(parsed: ParsedConfig, host: HostDefaults): InitConfig {
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  const cluster = clusterKind.defaults(parsed.cluster ?? {});
  const init = initKind.defaults(parsed.init ?? {}, { host, serviceSubnet: cluster.networking.serviceSubnet });
  const endpoint = cluster.controlPlaneEndpoint ? splitHostPort(cluster.controlPlaneEndpoint) : undefined;
  // With the port in it, so that control planes which join later use the same (kubeadm SetClusterDynamicDefaults).
  if (endpoint)
    cluster.controlPlaneEndpoint = joinHostPort(endpoint.host, endpoint.port ?? init.localAPIEndpoint.bindPort);
  const config: InitConfig = { ...init, cluster };
  if (parsed.kubelet) config.kubelet = parsed.kubelet;
  if (parsed.kubeProxy) config.kubeProxy = parsed.kubeProxy;
  // Defaults can clash with what was given (a pod subnet that covers the default service subnet), so look again.
  checkDocuments({ ...parsed, init, cluster });
  checkFamilies(config, parsed.report("cluster"));
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  warnOfOwnRange(config, parsed.warnings);
  if (config.kubeProxy?.["mode"] === "ipvs" && isSince(config.cluster.kubernetesVersion, KUBE_PROXY_MODE_VERSION))
    parsed.warnings.push("kube-proxy's mode ipvs is deprecated in Kubernetes; iptables and nftables stay");
  return config;
}

/** Warns of a cluster range that holds the node's own address: kubeadm allows it, and it works until an address is given twice. */
function warnOfOwnRange(config: InitConfig, warnings: string[]): void {
  const address = config.localAPIEndpoint.advertiseAddress;
  const { podSubnet, serviceSubnet } = config.cluster.networking;
  for (const subnet of [podSubnet, serviceSubnet].flatMap((s) => s?.split(",") ?? [])) {
    if (!contains(parseCidr(subnet)!, address)) continue;
    warnings.push(
      `this node's address ${address} lies in the cluster's own range ${subnet}; a pod or Service can be given it too`,
    );
  }
}
