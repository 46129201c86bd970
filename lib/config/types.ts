/** kubeadm.k8s.io/v1beta4 types, as kubestick keeps them after defaulting (kubeadm v1beta4 types.go). */

export interface Arg {
  name: string;
  value: string;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: unknown;
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

export interface HostPathMount {
  name: string;
  hostPath: string;
  mountPath: string;
  readOnly?: boolean;
  pathType?: string;
}

export interface ControlPlaneComponent {
  extraArgs?: Arg[];
  extraVolumes?: HostPathMount[];
  extraEnvs?: EnvVar[];
}

export interface ApiServer extends ControlPlaneComponent {
  certSANs?: string[];
}

export interface LocalEtcd {
  imageRepository?: string;
  imageTag?: string;
  dataDir: string;
  extraArgs?: Arg[];
  extraEnvs?: EnvVar[];
  serverCertSANs?: string[];
  peerCertSANs?: string[];
}

export interface ExternalEtcd {
  endpoints: string[];
  httpEndpoints?: string[];
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

export interface Networking {
  serviceSubnet: string;
  podSubnet?: string;
  dnsDomain: string;
}

export type EncryptionAlgorithm = "ECDSA-P256" | "ECDSA-P384" | "RSA-2048" | "RSA-3072" | "RSA-4096";

export interface ClusterConfiguration {
  apiServer: ApiServer;
  controllerManager: ControlPlaneComponent;
  scheduler: ControlPlaneComponent;
  etcd: { local?: LocalEtcd; external?: ExternalEtcd };
  networking: Networking;
  kubernetesVersion: string;
  controlPlaneEndpoint?: string;
  dns: { imageRepository?: string; imageTag?: string; disabled?: boolean };
  proxy: { disabled?: boolean };
  certificatesDir: string;
  imageRepository: string;
  featureGates?: Record<string, boolean>;
  clusterName: string;
  encryptionAlgorithm: EncryptionAlgorithm;
  certificateValidityPeriod: string;
  caCertificateValidityPeriod: string;
}

export interface BootstrapToken {
  token: string;
  description?: string;
  ttl?: string;
  expires?: string;
  usages: string[];
  groups: string[];
}

export interface NodeRegistration {
  name: string;
  criSocket: string;
  /** Undefined means kubeadm's default for the role; an empty list means none. */
  taints?: Taint[];
  kubeletExtraArgs?: Arg[];
  ignorePreflightErrors?: string[];
  imagePullPolicy?: string;
  imagePullSerial?: boolean;
}

export interface LocalApiEndpoint {
  advertiseAddress: string;
  bindPort: number;
}

export interface Timeouts {
  controlPlaneComponentHealthCheck?: string;
  kubeletHealthCheck?: string;
  kubernetesAPICall?: string;
  etcdAPICall?: string;
  tlsBootstrap?: string;
  discovery?: string;
  upgradeManifests?: string;
}

export interface InitConfiguration {
  bootstrapTokens: BootstrapToken[];
  localAPIEndpoint: LocalApiEndpoint;
  nodeRegistration: NodeRegistration;
  certificateKey?: string;
  skipPhases?: string[];
  patches?: { directory?: string };
  timeouts?: Timeouts;
  dryRun?: boolean;
}

export interface JoinConfiguration {
  nodeRegistration?: Partial<NodeRegistration>;
  caCertPath?: string;
  discovery?: {
    bootstrapToken?: {
      token?: string;
      apiServerEndpoint?: string;
      caCertHashes?: string[];
      unsafeSkipCAVerification?: boolean;
    };
    file?: { kubeConfigPath?: string };
    tlsBootstrapToken?: string;
  };
  controlPlane?: { localAPIEndpoint?: Partial<LocalApiEndpoint>; certificateKey?: string };
  skipPhases?: string[];
  patches?: { directory?: string };
  timeouts?: Timeouts;
  dryRun?: boolean;
}

/** A component's own configuration document, kept as the plain object that the user wrote. */
export type ComponentConfig = Record<string, unknown>;

/** Everything that `init` works from. */
export interface InitConfig extends InitConfiguration {
  cluster: ClusterConfiguration;
  /** The user's KubeletConfiguration and KubeProxyConfiguration, undefined where none was given. */
  kubelet?: ComponentConfig;
  kubeProxy?: ComponentConfig;
}
