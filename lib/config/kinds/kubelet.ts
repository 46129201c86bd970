import { MANIFESTS_DIR } from "../../constants/paths.ts";
import { KUBELET_HEALTHZ_PORT } from "../../constants/ports.ts";
import { indexedIp, isDnsSubdomain, parseCidr, parseIp } from "../../net/ip.ts";
import { mergeUnder } from "../fill.ts";
import type { ComponentConfig, Kind, Report } from "../kind.ts";
import * as s from "../schema.ts";
import { logging } from "./logging.ts";

/** A duration that is serialized even when it is zero. */
const d = s.zero(s.duration, "0s");
/** An empty string is not given, as to kubeadm's defaults; only `resolvConf`, a pointer in Go, says with it that there is none. */
const text = s.optional(s.string);
const oneOf = <const T extends string>(...values: T[]) => s.optional(s.oneOf(...values));
const strings = s.list(s.string);

const taint = s.object({
  key: s.zero(s.string, ""),
  value: s.string,
  effect: s.zero(s.string, ""),
  timeAdded: s.time,
});

const schema = s.document({
  enableServer: s.bool,
  staticPodPath: text,
  podLogsDir: text,
  syncFrequency: d,
  fileCheckFrequency: d,
  httpCheckFrequency: d,
  staticPodURL: text,
  staticPodURLHeader: s.map(strings),
  address: text,
  port: s.intBetween(0, 65535),
  readOnlyPort: s.intBetween(0, 65535),
  tlsCertFile: text,
  tlsPrivateKeyFile: text,
  tlsCipherSuites: strings,
  tlsMinVersion: text,
  tlsCurvePreferences: s.list(s.any),
  rotateCertificates: s.bool,
  serverTLSBootstrap: s.bool,
  authentication: s.zero(
    s.object({
      x509: s.zero(s.object({ clientCAFile: text }), {}),
      webhook: s.zero(s.object({ enabled: s.bool, cacheTTL: d }), {}),
      anonymous: s.zero(s.object({ enabled: s.bool }), {}),
    }),
    {},
  ),
  authorization: s.zero(
    s.object({
      mode: oneOf("AlwaysAllow", "Webhook"),
      webhook: s.zero(s.object({ cacheAuthorizedTTL: d, cacheUnauthorizedTTL: d }), {}),
    }),
    {},
  ),
  registryPullQPS: s.int,
  registryBurst: s.int,
  imagePullCredentialsVerificationPolicy: text,
  preloadedImagesVerificationAllowlist: strings,
  eventRecordQPS: s.int,
  eventBurst: s.int,
  enableDebuggingHandlers: s.bool,
  enableContentionProfiling: s.bool,
  healthzPort: s.intBetween(0, 65535),
  healthzBindAddress: text,
  oomScoreAdj: s.intBetween(-1000, 1000),
  clusterDomain: text,
  clusterDNS: strings,
  streamingConnectionIdleTimeout: d,
  nodeStatusUpdateFrequency: d,
  nodeStatusReportFrequency: d,
  nodeLeaseDurationSeconds: s.int,
  imageMinimumGCAge: d,
  imageMaximumGCAge: d,
  imageGCHighThresholdPercent: s.intBetween(0, 100),
  imageGCLowThresholdPercent: s.intBetween(0, 100),
  volumeStatsAggPeriod: d,
  kubeletCgroups: text,
  systemCgroups: text,
  cgroupRoot: text,
  cgroupsPerQOS: s.bool,
  cgroupDriver: oneOf("cgroupfs", "systemd"),
  cpuManagerPolicy: oneOf("none", "static"),
  singleProcessOOMKill: s.bool,
  cpuManagerPolicyOptions: s.map(s.string),
  cpuManagerReconcilePeriod: d,
  memoryManagerPolicy: oneOf("None", "Static"),
  topologyManagerPolicy: oneOf("none", "best-effort", "restricted", "single-numa-node"),
  topologyManagerScope: oneOf("container", "pod"),
  topologyManagerPolicyOptions: s.map(s.string),
  qosReserved: s.map(s.string),
  runtimeRequestTimeout: d,
  hairpinMode: oneOf("promiscuous-bridge", "hairpin-veth", "none"),
  maxPods: s.int,
  podCIDR: text,
  podPidsLimit: s.long,
  resolvConf: s.string,
  runOnce: s.bool,
  cpuCFSQuota: s.bool,
  cpuCFSQuotaPeriod: s.duration,
  nodeStatusMaxImages: s.int,
  maxOpenFiles: s.long,
  contentType: text,
  kubeAPIQPS: s.int,
  kubeAPIBurst: s.int,
  serializeImagePulls: s.bool,
  maxParallelImagePulls: s.int,
  evictionHard: s.map(s.string),
  evictionSoft: s.map(s.string),
  evictionSoftGracePeriod: s.map(s.string),
  evictionPressureTransitionPeriod: d,
  evictionMaxPodGracePeriod: s.int,
  evictionMinimumReclaim: s.map(s.string),
  mergeDefaultEvictionSettings: s.bool,
  podsPerCore: s.int,
  enableControllerAttachDetach: s.bool,
  protectKernelDefaults: s.bool,
  makeIPTablesUtilChains: s.bool,
  iptablesMasqueradeBit: s.int,
  iptablesDropBit: s.int,
  featureGates: s.map(s.bool),
  failSwapOn: s.bool,
  memorySwap: s.zero(s.object({ swapBehavior: oneOf("NoSwap", "LimitedSwap") }), {}),
  containerLogMaxSize: text,
  containerLogMaxFiles: s.int,
  containerLogMaxWorkers: s.int,
  containerLogMonitorInterval: s.duration,
  configMapAndSecretChangeDetectionStrategy: oneOf("Get", "Cache", "Watch"),
  systemReserved: s.map(s.string),
  kubeReserved: s.map(s.string),
  reservedSystemCPUs: text,
  showHiddenMetricsForVersion: text,
  systemReservedCgroup: text,
  kubeReservedCgroup: text,
  enforceNodeAllocatable: strings,
  allowedUnsafeSysctls: strings,
  volumePluginDir: text,
  providerID: text,
  kernelMemcgNotification: s.bool,
  logging,
  enableSystemLogHandler: s.bool,
  enableSystemLogQuery: s.bool,
  shutdownGracePeriod: d,
  shutdownGracePeriodCriticalPods: d,
  shutdownGracePeriodByPodPriority: s.list(
    s.object({ priority: s.zero(s.int, 0), shutdownGracePeriodSeconds: s.zero(s.long, 0) }),
  ),
  crashLoopBackOff: s.zero(s.object({ maxContainerRestartPeriod: s.duration }), {}),
  reservedMemory: s.list(s.object({ numaNode: s.zero(s.int, 0), limits: s.zero(s.map(s.any), null) })),
  memoryReservationPolicy: oneOf("None", "TieredReservation"),
  enableProfilingHandler: s.bool,
  enableDebugFlagsHandler: s.bool,
  seccompDefault: s.bool,
  memoryThrottlingFactor: s.number,
  registerWithTaints: s.list(taint),
  registerNode: s.bool,
  tracing: s.object({ endpoint: text, samplingRatePerMillion: s.int }),
  localStorageCapacityIsolation: s.bool,
  containerRuntimeEndpoint: s.zero(text, ""),
  imageServiceEndpoint: text,
  failCgroupV1: s.bool,
  userNamespaces: s.object({ idsPerPod: s.long }),
});

/** A kubelet's configuration (Kubernetes v1.36, staging/src/k8s.io/kubelet/config/v1beta1). */
type Kubelet = s.Given<s.Infer<typeof schema>>;

/** What a kubelet's defaults are made from. */
interface KubeletDefaults {
  networking: { serviceSubnet: string; dnsDomain: string };
  certificatesDir: string;
}

/** kubelet.config.k8s.io/v1beta1 KubeletConfiguration. */
export const kubelet: Kind<ComponentConfig, KubeletDefaults> = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  slot: "kubelet",
  schema,
  component: true,
  noEffect: [],
  validate,
  defaults,
};

/** Checks what a kubelet is told of the cluster's DNS; the rest is the kubelet's to judge. */
function validate({ clusterDNS, clusterDomain }: Kubelet, report: Report): void {
  for (const [i, address] of (clusterDNS ?? []).entries()) {
    if (!parseIp(address)) report(`clusterDNS[${i}]`, `${JSON.stringify(address)} must be an IP address`);
  }
  if (clusterDomain && !isDnsSubdomain(clusterDomain))
    report("clusterDomain", `${JSON.stringify(clusterDomain)} must be a DNS domain`);
}

/** The cluster DNS Service's addresses: the tenth of each service network (kubeadm constants.GetDNSIP). */
export const dnsAddresses = ({ serviceSubnet }: { serviceSubnet: string }): string[] =>
  serviceSubnet.split(",").map((subnet) => indexedIp(parseCidr(subnet)!, 10)!);

/**
 * Swap can be switched on at any time (zram when a board boots, a swap file), and a kubelet that minds does not start
 * again then. Pods get none of it (memorySwap, NoSwap), so that it does no harm.
 */
export const FAIL_SWAP_ON = false;

/** What kubeadm sets for every kubelet of a cluster (kubeadm componentconfigs/kubelet.go), but for `failSwapOn`. */
function defaults(given: ComponentConfig, { networking, certificatesDir }: KubeletDefaults): ComponentConfig {
  return {
    staticPodPath: MANIFESTS_DIR,
    clusterDNS: dnsAddresses(networking),
    clusterDomain: networking.dnsDomain,
    cgroupDriver: "systemd",
    failSwapOn: FAIL_SWAP_ON,
    healthzBindAddress: "127.0.0.1",
    healthzPort: KUBELET_HEALTHZ_PORT,
    rotateCertificates: true,
    ...given,
    authentication: mergeUnder(
      {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: `${certificatesDir}/ca.crt` },
      },
      given["authentication"],
    ),
    authorization: mergeUnder({ mode: "Webhook" }, given["authorization"]),
  };
}
