import { logging } from "./kubelet-schema.ts";
import * as s from "./schema.ts";

/**
 * kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration (Kubernetes v1.36, staging/src/k8s.io/kube-proxy/config).
 * Nearly all of its Go fields lack `omitempty`, so nearly all are serialized when unset; null stands for a nil pointer.
 */
// An empty string is what is not given.
const str = s.zero(s.optional(s.string), "");
const bool = s.zero(s.bool, false);
const d = s.zero(s.duration, "0s");
const nullable = (schema: s.Schema): s.Schema => s.zero(schema, null);
const sync = { syncPeriod: d, minSyncPeriod: d };

export const kubeProxySchema = s.object({
  apiVersion: s.string,
  kind: s.string,
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
