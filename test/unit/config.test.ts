import { describe, expect, test } from "bun:test";
import { kubeProxy as kubeProxyKind } from "../../lib/config/kinds/kube-proxy.ts";
import { kubelet as kubeletKind } from "../../lib/config/kinds/kubelet.ts";
import { parseConfig } from "../../lib/config/load.ts";
import type { ConfigError } from "../../lib/config/problems.ts";
import { formatDuration, parseDuration } from "../../lib/util/duration.ts";
import { suggest } from "../../lib/util/suggest.ts";
import { compareVersions, parseVersion } from "../../lib/util/version.ts";
import { configFrom, MINIMAL } from "../support/config.ts";

const problems = (text: string): string[] => {
  try {
    configFrom(text);
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map((p) => `${p.line} ${p.path}`);
  }
};
const cluster = (body: string) => `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${body}`;

describe("configuration", () => {
  test("defaults are kubeadm's, but for the key algorithm", () => {
    const config = configFrom(MINIMAL);
    expect(config.cluster).toMatchObject({
      certificatesDir: "/etc/kubernetes/pki",
      clusterName: "kubernetes",
      encryptionAlgorithm: "ECDSA-P256",
      imageRepository: "registry.k8s.io",
      networking: { serviceSubnet: "10.96.0.0/12", dnsDomain: "cluster.local", podSubnet: "10.244.0.0/16" },
      certificateValidityPeriod: "8760h0m0s",
      caCertificateValidityPeriod: "87600h0m0s",
    });
    expect(config.bootstrapTokens[0]).toMatchObject({ ttl: "24h0m0s", usages: ["signing", "authentication"] });
    expect(config.nodeRegistration).toMatchObject({ name: "cp1", criSocket: "unix:///run/containerd/containerd.sock" });
  });

  test("v1beta3 becomes v1beta4", () => {
    const config = configFrom(`apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: 1.36.1
apiServer:
  timeoutForControlPlane: 2m0s
  extraArgs: {v: "4", audit-log-path: /var/log/audit}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
nodeRegistration:
  kubeletExtraArgs: {node-ip: 10.0.0.1}
`);
    expect(config.cluster.kubernetesVersion).toBe("v1.36.1");
    expect(config.cluster.apiServer).toEqual({
      extraArgs: [
        { name: "audit-log-path", value: "/var/log/audit" },
        { name: "v", value: "4" },
      ],
    });
    expect(config.timeouts).toEqual({ controlPlaneComponentHealthCheck: "2m0s" });
    expect(config.nodeRegistration.kubeletExtraArgs).toEqual([{ name: "node-ip", value: "10.0.0.1" }]);
  });

  test("v1beta4 fields are unknown in v1beta3", () => {
    expect(
      problems("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nencryptionAlgorithm: RSA-2048\n"),
    ).toEqual(["3 ClusterConfiguration.encryptionAlgorithm"]);
  });

  test("dual-stack and IPv6 are accepted", () => {
    expect(
      problems(cluster("networking: {podSubnet: 'fd00:10:244::/56', serviceSubnet: 'fd00:10:96::/112'}\n")),
    ).toEqual([]);
    expect(
      problems(
        cluster(
          "networking: {podSubnet: '10.244.0.0/16,fd00:10:244::/56', serviceSubnet: '10.96.0.0/16,fd00:10:96::/112'}\n",
        ),
      ),
    ).toEqual([]);
    expect(problems(cluster("networking: {podSubnet: '10.244.0.0/16,10.245.0.0/16'}\n"))).toEqual([
      "3 ClusterConfiguration.networking.podSubnet",
    ]);
  });

  test("all problems come together, with their lines", () => {
    expect(
      problems(
        cluster(
          "kubernetesVersion: latest\nnetworking:\n  podSubnet: 10.96.0.0/16\n  dnsDomain: UPPER\nfeatureGates: {NoSuch: true}\netcd:\n  local: {dataDir: relative}\n",
        ),
      ),
    ).toEqual([
      "3 ClusterConfiguration.kubernetesVersion",
      "5 ClusterConfiguration.networking.podSubnet",
      "6 ClusterConfiguration.networking.dnsDomain",
      "7 ClusterConfiguration.featureGates.NoSuch",
      "9 ClusterConfiguration.etcd.local.dataDir",
    ]);
  });

  test("a key like __proto__ is an unknown field and touches nothing", () => {
    expect(problems(cluster("__proto__: {polluted: true}\n"))).toEqual(["3 ClusterConfiguration.__proto__"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("a JoinConfiguration is checked too", () => {
    const join = (body: string) =>
      parseConfig(`apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n${body}`, "f", "join").problems.map(
        (p) => `${p.line} ${p.path}`,
      );
    expect(
      join(
        "discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: '10.0.0.1:6443', unsafeSkipCAVerification: true}}\n",
      ),
    ).toEqual([]);
    expect(
      join("discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: '10.0.0.1:6443'}}\n"),
    ).toEqual(["3 JoinConfiguration.discovery.bootstrapToken"]);
    expect(join("caCertPath: /x.crt\n")).toEqual(["1 JoinConfiguration.discovery"]);
  });
});

describe("durations", () => {
  test("print as Go prints them", () => {
    for (const [ms, text] of [
      [0, "0s"],
      [1500, "1.5s"],
      [90_000, "1m30s"],
      [3_600_000, "1h0m0s"],
      [315_360_000_000, "87600h0m0s"],
      [250, "250ms"],
      [-90_000, "-1m30s"],
    ] as const) {
      expect([ms, formatDuration(ms)]).toEqual([ms, text]);
    }
  });

  test("printing and parsing are inverse", () => {
    for (let ms = 1; ms < 1e12; ms = ms * 3 + 7) expect(parseDuration(formatDuration(ms))).toBeCloseTo(ms, 3);
    for (const bad of ["", "5", "h", "1x", "1h 2m", "s1"]) expect(() => parseDuration(bad)).toThrow(RangeError);
  });
});

test("versions are ordered as semver has it", () => {
  const order = [
    ...["v1.35.9", "v1.36.0-alpha.1", "v1.36.0-alpha.beta", "v1.36.0-rc.2", "v1.36.0-rc.10", "v1.36.0-rc.10.1"],
    ...["v1.36.0", "v1.36.2", "v1.36.10", "v2.0.0"],
  ].map((v) => parseVersion(v)!);
  expect([...order].reverse().sort(compareVersions)).toEqual(order);
  for (const bad of ["1.36", "latest", "v1.2.3.4", "stable-1", ""]) expect(parseVersion(bad)).toBeUndefined();
});

test("every field of the kubelet's and kube-proxy's configuration of v1.36 is known", () => {
  // The fields that serialize in KubeletConfiguration and KubeProxyConfiguration (their types.go in Kubernetes v1.36.2).
  const kubelet =
    "enableServer staticPodPath podLogsDir syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL staticPodURLHeader address port readOnlyPort tlsCertFile tlsPrivateKeyFile tlsCipherSuites tlsMinVersion tlsCurvePreferences rotateCertificates serverTLSBootstrap authentication authorization registryPullQPS registryBurst imagePullCredentialsVerificationPolicy preloadedImagesVerificationAllowlist eventRecordQPS eventBurst enableDebuggingHandlers enableContentionProfiling healthzPort healthzBindAddress oomScoreAdj clusterDomain clusterDNS streamingConnectionIdleTimeout nodeStatusUpdateFrequency nodeStatusReportFrequency nodeLeaseDurationSeconds imageMinimumGCAge imageMaximumGCAge imageGCHighThresholdPercent imageGCLowThresholdPercent volumeStatsAggPeriod kubeletCgroups systemCgroups cgroupRoot cgroupsPerQOS cgroupDriver cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions cpuManagerReconcilePeriod memoryManagerPolicy topologyManagerPolicy topologyManagerScope topologyManagerPolicyOptions qosReserved runtimeRequestTimeout hairpinMode maxPods podCIDR podPidsLimit resolvConf runOnce cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType kubeAPIQPS kubeAPIBurst serializeImagePulls maxParallelImagePulls evictionHard evictionSoft evictionSoftGracePeriod evictionPressureTransitionPeriod evictionMaxPodGracePeriod evictionMinimumReclaim mergeDefaultEvictionSettings podsPerCore enableControllerAttachDetach protectKernelDefaults makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit featureGates failSwapOn memorySwap containerLogMaxSize containerLogMaxFiles containerLogMaxWorkers containerLogMonitorInterval configMapAndSecretChangeDetectionStrategy systemReserved kubeReserved reservedSystemCPUs showHiddenMetricsForVersion systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable allowedUnsafeSysctls volumePluginDir providerID kernelMemcgNotification logging enableSystemLogHandler enableSystemLogQuery shutdownGracePeriod shutdownGracePeriodCriticalPods shutdownGracePeriodByPodPriority crashLoopBackOff reservedMemory enableProfilingHandler enableDebugFlagsHandler seccompDefault memoryThrottlingFactor memoryReservationPolicy registerWithTaints registerNode tracing localStorageCapacityIsolation containerRuntimeEndpoint imageServiceEndpoint failCgroupV1 userNamespaces";
  const proxy =
    "featureGates clientConnection logging hostnameOverride bindAddress healthzBindAddress metricsBindAddress bindAddressHardFail enableProfiling showHiddenMetricsForVersion mode iptables ipvs nftables winkernel detectLocalMode detectLocal clusterCIDR nodePortAddresses oomScoreAdj conntrack configSyncPeriod portRange windowsRunAsService";
  for (const [schema, fields] of [
    [kubeletKind.schema, kubelet],
    [kubeProxyKind.schema, proxy],
  ] as const) {
    const known = schema.kind === "object" ? Object.keys(schema.fields) : [];
    expect(known.filter((name) => name !== "apiVersion" && name !== "kind").sort()).toEqual(fields.split(" ").sort());
  }
});

test("64-bit numbers and empty strings are what the kubelet takes them for", () => {
  const text = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxOpenFiles: 5000000000
resolvConf: ""
providerID: ""
memoryReservationPolicy: TieredReservation
`;
  expect(configFrom(`${MINIMAL}---\n${text}`).kubelet).toEqual({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    maxOpenFiles: 5_000_000_000,
    resolvConf: "",
    memoryReservationPolicy: "TieredReservation",
  });
});

test("suggestions are near or none", () => {
  expect(suggest("podSubnt", ["podSubnet", "serviceSubnet"])).toBe("podSubnet");
  expect(suggest("zzzzzz", ["podSubnet", "serviceSubnet"])).toBeUndefined();
});
