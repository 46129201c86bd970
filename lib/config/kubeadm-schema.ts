import * as s from "./schema.ts";

/** The kubeadm.k8s.io documents, v1beta4 and v1beta3 (kubeadm v1beta4 and v1beta3 types.go). */
const strings = s.list(s.string);
const header = { apiVersion: s.string, kind: s.string };
/** What kubeadm fills in where it is empty, or 0; a string that can be empty and mean it is `s.string`. */
const text = s.optional(s.string);
const port = s.optional(s.intBetween(1, 65535));
const pullPolicy = s.optional(s.oneOf("Always", "IfNotPresent", "Never"));

const argList = s.list(s.object({ name: s.string, value: s.string }, ["name"]));
const env = s.list(s.object({ name: s.string, value: s.string, valueFrom: s.any }, ["name"]));
const volumes = s.list(
  s.object(
    {
      name: s.string,
      hostPath: s.string,
      mountPath: s.string,
      readOnly: s.bool,
      pathType: s.oneOf(
        "",
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
      ),
    },
    ["name", "hostPath", "mountPath"],
  ),
);
const taints = s.list(
  s.object(
    {
      key: s.string,
      value: s.string,
      effect: s.oneOf("NoSchedule", "PreferNoSchedule", "NoExecute"),
      timeAdded: s.time,
    },
    ["key", "effect"],
  ),
);
const endpoint = s.object({ advertiseAddress: text, bindPort: port });
const patches = s.object({ directory: text });
const timeouts = s.object({
  controlPlaneComponentHealthCheck: s.duration,
  kubeletHealthCheck: s.duration,
  kubernetesAPICall: s.duration,
  etcdAPICall: s.duration,
  tlsBootstrap: s.duration,
  discovery: s.duration,
  upgradeManifests: s.duration,
});
const bootstrapTokens = s.list(
  s.object({
    token: s.string,
    description: s.string,
    ttl: s.duration,
    expires: s.time,
    usages: s.list(s.oneOf("signing", "authentication")),
    groups: strings,
  }),
);

/** The schema of one kubeadm document; the two versions differ in a handful of fields. */
function schemas(beta4: boolean): Record<string, s.Schema> {
  const args = beta4 ? argList : s.map(s.string);
  const component: Record<string, s.Schema> = {
    extraArgs: args,
    extraVolumes: volumes,
    ...(beta4 ? { extraEnvs: env } : {}),
  };
  const nodeRegistration = s.object({
    name: text,
    criSocket: text,
    taints,
    kubeletExtraArgs: args,
    ignorePreflightErrors: strings,
    imagePullPolicy: pullPolicy,
    ...(beta4 ? { imagePullSerial: s.bool } : {}),
  });
  return {
    InitConfiguration: s.object({
      ...header,
      bootstrapTokens,
      nodeRegistration,
      localAPIEndpoint: endpoint,
      certificateKey: text,
      skipPhases: strings,
      patches,
      ...(beta4 ? { dryRun: s.bool, timeouts } : {}),
    }),
    ClusterConfiguration: s.object({
      ...header,
      etcd: s.object({
        local: s.object({
          imageRepository: text,
          imageTag: text,
          dataDir: text,
          extraArgs: args,
          serverCertSANs: strings,
          peerCertSANs: strings,
          ...(beta4 ? { extraEnvs: env } : {}),
        }),
        external: s.object(
          {
            endpoints: strings,
            caFile: text,
            certFile: text,
            keyFile: text,
            ...(beta4 ? { httpEndpoints: strings } : {}),
          },
          ["endpoints"],
        ),
      }),
      networking: s.object({ serviceSubnet: text, podSubnet: text, dnsDomain: text }),
      kubernetesVersion: text,
      controlPlaneEndpoint: text,
      apiServer: s.object({
        ...component,
        certSANs: strings,
        ...(beta4 ? {} : { timeoutForControlPlane: s.duration }),
      }),
      controllerManager: s.object(component),
      scheduler: s.object(component),
      dns: s.object({
        imageRepository: text,
        imageTag: text,
        ...(beta4 ? { disabled: s.bool } : { type: s.oneOf("CoreDNS") }),
      }),
      certificatesDir: text,
      imageRepository: text,
      featureGates: s.map(s.bool),
      clusterName: text,
      ...(beta4
        ? {
            proxy: s.object({ disabled: s.bool }),
            encryptionAlgorithm: s.optional(s.oneOf("ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096")),
            certificateValidityPeriod: s.duration,
            caCertificateValidityPeriod: s.duration,
          }
        : {}),
    }),
    JoinConfiguration: s.object({
      ...header,
      nodeRegistration,
      caCertPath: text,
      discovery: s.object({
        bootstrapToken: s.object({
          token: s.string,
          apiServerEndpoint: text,
          caCertHashes: strings,
          unsafeSkipCAVerification: s.bool,
        }),
        file: s.object({ kubeConfigPath: text }),
        tlsBootstrapToken: text,
        ...(beta4 ? {} : { timeout: s.duration }),
      }),
      controlPlane: s.object({ localAPIEndpoint: endpoint, certificateKey: text }),
      skipPhases: strings,
      patches,
      ...(beta4 ? { dryRun: s.bool, timeouts } : {}),
    }),
  };
}

/** kubeadm's document schemas by API version, then kind. */
export const kubeadmSchemas: Record<string, Record<string, s.Schema>> = {
  "kubeadm.k8s.io/v1beta4": schemas(true),
  "kubeadm.k8s.io/v1beta3": schemas(false),
};
