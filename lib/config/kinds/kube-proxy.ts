import { KUBE_PROXY_MODE_VERSION } from "../../constants/versions.ts";
import { parseIp } from "../../net/ip.ts";
import { isSince } from "../../util/version.ts";
import { checkCidrs } from "../checks/addresses.ts";
import type { ComponentConfig, Kind } from "../kind.ts";
import * as s from "../schema.ts";
import { logging } from "./logging.ts";

// Nearly all of the Go fields lack `omitempty`, so nearly all are serialized when unset; null stands for a nil pointer.
// An empty string is what is not given.
const str = s.zero(s.optional(s.string), "");
const bool = s.zero(s.bool, false);
const d = s.zero(s.duration, "0s");
const nullable = <T>(schema: s.Schema<T>) => s.zero(schema, null);
const sync = { syncPeriod: d, minSyncPeriod: d };

const schema = s.document({
  featureGates: s.map(s.bool),
  clientConnection: s.zero(
    s.object({
      kubeconfig: str,
      acceptContentTypes: str,
      contentType: str,
      qps: s.zero(s.number, 0),
      burst: s.zero(s.int, 0),
    }),
    {},
  ),
  logging,
  hostnameOverride: str,
  bindAddress: str,
  healthzBindAddress: str,
  metricsBindAddress: str,
  bindAddressHardFail: bool,
  enableProfiling: bool,
  showHiddenMetricsForVersion: str,
  mode: s.zero(s.oneOf("", "iptables", "ipvs", "nftables", "kernelspace"), ""),
  iptables: s.zero(
    s.object({ masqueradeBit: nullable(s.int), masqueradeAll: bool, localhostNodePorts: nullable(s.bool), ...sync }),
    {},
  ),
  ipvs: s.zero(
    s.object({
      ...sync,
      scheduler: str,
      excludeCIDRs: nullable(s.list(s.string)),
      strictARP: bool,
      tcpTimeout: d,
      tcpFinTimeout: d,
      udpTimeout: d,
    }),
    {},
  ),
  nftables: s.zero(s.object({ masqueradeBit: nullable(s.int), masqueradeAll: bool, ...sync }), {}),
  winkernel: s.zero(
    s.object({
      networkName: str,
      sourceVip: str,
      enableDSR: bool,
      rootHnsEndpointName: str,
      forwardHealthCheckVip: bool,
    }),
    {},
  ),
  detectLocalMode: s.zero(s.oneOf("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"), ""),
  detectLocal: s.zero(s.object({ bridgeInterface: str, interfaceNamePrefix: str }), {}),
  clusterCIDR: str,
  nodePortAddresses: nullable(s.list(s.string)),
  oomScoreAdj: nullable(s.intBetween(-1000, 1000)),
  conntrack: s.zero(
    s.object({
      maxPerCore: nullable(s.int),
      min: nullable(s.int),
      tcpEstablishedTimeout: nullable(s.duration),
      tcpCloseWaitTimeout: nullable(s.duration),
      tcpBeLiberal: bool,
      udpTimeout: d,
      udpStreamTimeout: d,
    }),
    {},
  ),
  configSyncPeriod: d,
  portRange: str,
  windowsRunAsService: s.bool,
});

/** What kube-proxy's defaults are made from. */
interface KubeProxyDefaults {
  networking: { podSubnet?: string };
  kubernetesVersion: string;
  /** The API server's. */
  advertiseAddress: string;
}

/** kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration (Kubernetes v1.36, staging/src/k8s.io/kube-proxy/config). */
export const kubeProxy: Kind<ComponentConfig, KubeProxyDefaults> = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  slot: "kubeProxy",
  schema,
  component: true,
  noEffect: [],
  validate: ({ clusterCIDR }: s.Given<s.Infer<typeof schema>>, report) => {
    checkCidrs(clusterCIDR, "clusterCIDR", report);
  },
  defaults,
};

/** What kubeadm sets for every kube-proxy of a cluster (kubeadm componentconfigs/kubeproxy.go). */
function defaults(
  given: ComponentConfig,
  { networking, kubernetesVersion, advertiseAddress }: KubeProxyDefaults,
): ComponentConfig {
  // Empty is what is not given, and from some version on kubeadm writes the mode out.
  const mode = given["mode"] || (isSince(kubernetesVersion, KUBE_PROXY_MODE_VERSION) ? "iptables" : undefined);
  return {
    bindAddress: parseIp(advertiseAddress)?.family === 6 ? "::" : "0.0.0.0",
    clusterCIDR: networking.podSubnet ?? "",
    ...given,
    ...(mode ? { mode } : {}),
    clientConnection: {
      kubeconfig: "/var/lib/kube-proxy/kubeconfig.conf",
      ...(given["clientConnection"] as ComponentConfig | undefined),
    },
  };
}
