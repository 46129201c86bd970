import { newCertificateKey } from "../../lib/cluster/certificates.ts";
import type { Kind } from "../../lib/config/kind.ts";
import { CURRENT } from "../../lib/config/registry.ts";

/** The values of a document, with `apiVersion` and `kind`. */
export type Document = Record<string, unknown>;
/** A document of a kind. */
export const document = (kind: Kind, values: Document): Document => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  ...values,
});
const { init, cluster, join } = CURRENT as Record<keyof typeof CURRENT, Kind>;

/** What a user adds to a component, each value of it found nowhere else. */
const component = (name: string, pathType: string) => ({
  extraArgs: [{ name: `flag-of-${name}`, value: `value-of-${name}` }],
  extraEnvs: [
    { name: `ENV_OF_${name}`, value: `env-of-${name}` },
    { name: "HOST", valueFrom: { fieldRef: { fieldPath: `field.of.${name}` } } },
  ],
  extraVolumes: [
    {
      name: `volume-${name}`,
      hostPath: `/host/of/${name}`,
      mountPath: `/mount/of/${name}`,
      readOnly: true,
      pathType,
    },
  ],
});

const SOCKET = "unix:///run/leaf-of-a-socket.sock";
const taints = [{ key: "leaf/key", value: "leaf-value", effect: "NoExecute", timeAdded: "2028-02-29T10:11:12Z" }];
const kubeletExtraArgs = [{ name: "flag-of-kubelet", value: "value-of-kubelet" }];
const timeouts = {
  controlPlaneComponentHealthCheck: "130s",
  kubeletHealthCheck: "131s",
  kubernetesAPICall: "132s",
  etcdAPICall: "133s",
  tlsBootstrap: "134s",
  discovery: "135s",
  upgradeManifests: "136s",
};

/** The least that init needs on any host; dry. */
const OF_A_HOST = { localAPIEndpoint: { advertiseAddress: "10.0.0.5" }, dryRun: true };
/** A cluster with nothing but defaults. */
export const base = (): Document[] => [document(init, OF_A_HOST), document(cluster, {})];

/** The same, not dry. */
export const real = (): Document[] => [document(init, { ...OF_A_HOST, dryRun: false }), document(cluster, {})];

/** A cluster with every field that can stand beside the others; `patches` is a directory of them. */
export const whole = (patches: string): Document[] => [
  document(init, {
    bootstrapTokens: [
      { token: "leaf01.0123456789abcdef", description: "leaf of a token", ttl: "77h", usages: ["signing"] },
      { expires: "2097-02-03T04:05:06Z", groups: ["system:bootstrappers:leaf"] },
    ],
    nodeRegistration: {
      name: "leaf-of-a-node",
      criSocket: SOCKET,
      taints,
      kubeletExtraArgs,
      ignorePreflightErrors: ["leaf-of-a-check"],
      imagePullPolicy: "Never",
      imagePullSerial: false,
    },
    localAPIEndpoint: { advertiseAddress: "10.98.76.54", bindPort: 7654 },
    certificateKey: newCertificateKey(),
    skipPhases: ["upload-config/kubelet"],
    patches: { directory: patches },
    timeouts,
    dryRun: true,
  }),
  document(cluster, {
    etcd: {
      local: {
        imageRepository: "leaf.test/etcd-images",
        imageTag: "3.6.77-0",
        dataDir: "/leaf/of/etcd",
        extraArgs: [{ name: "flag-of-etcd", value: "value-of-etcd" }],
        extraEnvs: component("etcd", "").extraEnvs,
        serverCertSANs: ["server.leaf.test"],
        peerCertSANs: ["peer.leaf.test"],
      },
    },
    networking: { serviceSubnet: "10.111.0.0/16", podSubnet: "10.222.0.0/16", dnsDomain: "leaf.domain.test" },
    kubernetesVersion: "v1.36.77",
    controlPlaneEndpoint: "endpoint.leaf.test",
    apiServer: { ...component("api", "CharDevice"), certSANs: ["api.leaf.test"] },
    controllerManager: component("manager", "BlockDevice"),
    scheduler: component("scheduler", "Socket"),
    dns: { imageRepository: "leaf.test/dns-images", imageTag: "v1.77.0" },
    certificatesDir: "/leaf/of/pki",
    imageRepository: "leaf.test/images",
    clusterName: "leaf-of-a-cluster",
    encryptionAlgorithm: "RSA-2048",
    certificateValidityPeriod: "777h",
    caCertificateValidityPeriod: "7777h",
  }),
];

/** What cannot stand beside those of `whole`. */
export const other = (): Document[] => [
  document(init, OF_A_HOST),
  document(cluster, {
    etcd: {
      external: {
        endpoints: ["https://endpoint.of.etcd:2379"],
        httpEndpoints: ["http://http.of.etcd:2381"],
        caFile: "/leaf/ca-of-etcd.crt",
        certFile: "/leaf/cert-of-etcd.crt",
        keyFile: "/leaf/key-of-etcd.key",
      },
    },
    dns: { disabled: true },
    proxy: { disabled: true },
    featureGates: { PublicKeysECDSA: true },
    encryptionAlgorithm: "RSA-3072",
  }),
];

/** What the certificates of the cluster that is joined are uploaded with. */
export const CERTIFICATE_KEY = newCertificateKey();
/** A control plane that joins, by a token, with every field that can stand beside the others. */
export const controlPlane = (endpoint: string, patches: string): Document[] => [
  document(join, {
    nodeRegistration: {
      name: "leaf-of-a-node",
      criSocket: SOCKET,
      taints,
      kubeletExtraArgs,
      ignorePreflightErrors: ["all", "leaf-of-a-check"],
      imagePullPolicy: "Never",
      imagePullSerial: false,
    },
    caCertPath: "/leaf/of/ca.crt",
    discovery: {
      bootstrapToken: { token: "abcdef.0123456789abcdef", apiServerEndpoint: endpoint, unsafeSkipCAVerification: true },
    },
    controlPlane: {
      localAPIEndpoint: { advertiseAddress: "10.98.76.54", bindPort: 7654 },
      certificateKey: CERTIFICATE_KEY,
    },
    skipPhases: ["network"],
    patches: { directory: patches },
    timeouts,
    dryRun: true,
  }),
];
/** A worker that joins by a file, with what does nothing for workers. */
export const worker = (kubeConfigPath: string): Document[] => [
  document(join, {
    nodeRegistration: {
      name: "a-worker",
      ignorePreflightErrors: ["all"],
      taints,
      imagePullPolicy: "Never",
      imagePullSerial: false,
    },
    discovery: { file: { kubeConfigPath }, tlsBootstrapToken: "fedcba.0123456789abcdef" },
    timeouts,
  }),
];

/** A worker with nothing but defaults, by a token and pins. */
export const plainWorker = (apiServerEndpoint: string, caCertHashes: string[]): Document[] => [
  document(join, {
    nodeRegistration: { ignorePreflightErrors: ["all"] },
    discovery: { bootstrapToken: { token: "abcdef.0123456789abcdef", apiServerEndpoint, caCertHashes } },
  }),
];
