import { CA_VALIDITY, CERTIFICATE_VALIDITY } from "../../constants/durations.ts";
import { CLUSTER_NAME, DNS_DOMAIN, SERVICE_SUBNET } from "../../constants/names.ts";
import { CERTIFICATES_DIR } from "../../constants/paths.ts";
import { DEFAULT_IMAGE_REPOSITORY, KUBERNETES_VERSION } from "../../constants/versions.ts";
import { isDnsSubdomain } from "../../net/ip.ts";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { parseVersion } from "../../util/version.ts";
import { checkAltNames, checkEndpoint } from "../checks/addresses.ts";
import { checkComponent } from "../checks/component.ts";
import { checkEtcd } from "../checks/etcd.ts";
import { checkFeatureGates } from "../checks/feature-gates.ts";
import { checkImageRepository, checkImageTag } from "../checks/images.ts";
import { checkNetworks } from "../checks/networks.ts";
import { checkAbsolute, checkPositive } from "../checks/values.ts";
import { withDefaults } from "../fill.ts";
import type { Kind, Report } from "../kind.ts";
import * as s from "../schema.ts";
import { apiServer, apiServerV1beta3, component, componentV1beta3, etcd, etcdV1beta3 } from "./control-plane.ts";
import { text, V1BETA3, V1BETA4, withArgList } from "./fields.ts";

const dns = { imageRepository: text, imageTag: text };

/** What both versions have of a cluster. */
const common = {
  networking: s.filled(
    s.object({
      serviceSubnet: s.filled(text, SERVICE_SUBNET),
      podSubnet: text,
      dnsDomain: s.filled(text, DNS_DOMAIN),
    }),
  ),
  kubernetesVersion: s.filled(text, KUBERNETES_VERSION),
  controlPlaneEndpoint: text,
  certificatesDir: s.filled(text, CERTIFICATES_DIR),
  imageRepository: s.filled(text, DEFAULT_IMAGE_REPOSITORY),
  featureGates: s.map(s.bool),
  clusterName: s.filled(text, CLUSTER_NAME),
};

const encryptionAlgorithm = s.oneOf("ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096");
/** The kind and size of the cluster's keys. */
export type EncryptionAlgorithm = s.Infer<typeof encryptionAlgorithm>;

/** kubeadm's default is RSA-2048; a small board makes P-256 keys in milliseconds instead of seconds. */
const DEFAULT_ALGORITHM = "ECDSA-P256";

const schema = s.document({
  ...common,
  /** The cluster's own etcd, or somebody else's: one of the two once defaults are filled in. */
  etcd: s.filled(etcd),
  apiServer: s.filled(apiServer),
  controllerManager: s.filled(component),
  scheduler: s.filled(component),
  dns: s.filled(s.object({ ...dns, disabled: s.bool })),
  proxy: s.filled(s.object({ disabled: s.bool })),
  encryptionAlgorithm: s.filled(s.optional(encryptionAlgorithm), DEFAULT_ALGORITHM),
  certificateValidityPeriod: s.filled(s.duration, formatDuration(CERTIFICATE_VALIDITY)),
  caCertificateValidityPeriod: s.filled(s.duration, formatDuration(CA_VALIDITY)),
});

const schemaV1beta3 = s.document({
  ...common,
  etcd: etcdV1beta3,
  apiServer: apiServerV1beta3,
  controllerManager: componentV1beta3,
  scheduler: componentV1beta3,
  dns: s.object({ ...dns, type: s.oneOf("CoreDNS") }),
});
type OldCluster = s.Given<s.Infer<typeof schemaV1beta3>>;

/** What every node of a cluster has in common (kubeadm v1beta4 ClusterConfiguration). */
export type ClusterConfiguration = s.Infer<typeof schema>;
type Cluster = s.Given<ClusterConfiguration>;

/** kubeadm.k8s.io/v1beta4 ClusterConfiguration. */
export const cluster: Kind<ClusterConfiguration, void> = {
  apiVersion: V1BETA4,
  kind: "ClusterConfiguration",
  slot: "cluster",
  schema,
  noEffect: [
    { path: "etcd.external.httpEndpoints", why: "an external etcd is asked by the API server only" },
    {
      path: "encryptionAlgorithm",
      why: "featureGates.PublicKeysECDSA decides",
      when: ({ featureGates }) => featureGates?.["PublicKeysECDSA"] === true,
    },
  ],
  normalize,
  validate,
  defaults,
};

/** kubeadm.k8s.io/v1beta3 ClusterConfiguration. */
export const clusterV1beta3: Kind<ClusterConfiguration, void> = {
  ...cluster,
  apiVersion: V1BETA3,
  schema: schemaV1beta3,
  noEffect: [],
  convert,
};

/** A name's case means nothing (RFC 4343). kubeadm lowers SANs too, and refuses other endpoints than lower case ones. */
function normalize(c: Cluster): void {
  if (c.controlPlaneEndpoint !== undefined) c.controlPlaneEndpoint = c.controlPlaneEndpoint.toLowerCase();
  if (c.apiServer?.certSANs) c.apiServer.certSANs = c.apiServer.certSANs.map((name) => name.toLowerCase());
}

/** What kubeadm checks of a ClusterConfiguration (kubeadm validation.go). */
function validate(c: Cluster, report: Report): void {
  if (c.kubernetesVersion !== undefined && !parseVersion(c.kubernetesVersion)) {
    report(
      "kubernetesVersion",
      `${JSON.stringify(c.kubernetesVersion)} must be an exact version such as v1.36.2; kubestick never looks versions up`,
    );
  }
  checkNetworks(c, report);
  if (c.networking?.dnsDomain !== undefined && !isDnsSubdomain(c.networking.dnsDomain)) {
    report(
      "networking.dnsDomain",
      `${JSON.stringify(c.networking.dnsDomain)} must be a lower case DNS domain such as cluster.local`,
    );
  }
  checkEndpoint(c.controlPlaneEndpoint || undefined, "controlPlaneEndpoint", report);
  checkAltNames(c.apiServer?.certSANs, "apiServer.certSANs", report);
  for (const name of ["apiServer", "controllerManager", "scheduler"] as const) checkComponent(c[name], name, report);
  const version = c.kubernetesVersion || KUBERNETES_VERSION;
  checkEtcd(c.etcd, version, report);
  checkAbsolute(c.certificatesDir, "certificatesDir", report);
  checkImageRepository(c.imageRepository, "imageRepository", report);
  checkImageRepository(c.dns?.imageRepository, "dns.imageRepository", report);
  checkImageTag(c.dns?.imageTag, "dns.imageTag", report);
  checkFeatureGates(c.featureGates, version, report);
  if (c.clusterName !== undefined && !/^\P{C}{1,253}$/u.test(c.clusterName)) {
    report("clusterName", "must be a name of at most 253 characters, none of them a control character");
  }
  const leaf = checkPositive(c.certificateValidityPeriod, "certificateValidityPeriod", report);
  const ca = checkPositive(c.caCertificateValidityPeriod, "caCertificateValidityPeriod", report);
  if (leaf !== undefined && ca !== undefined && leaf > ca) {
    report("certificateValidityPeriod", "must not be longer than caCertificateValidityPeriod; shorten it");
  }
}

/** What kubeadm fills in (kubeadm v1beta4 defaults.go), but for the key algorithm. */
function defaults(given: Cluster): ClusterConfiguration {
  const { external } = given.etcd ?? {};
  const etcd = external ? { external } : { local: given.etcd?.local ?? {} };
  const c = withDefaults<ClusterConfiguration>({ ...given, etcd }, schema);
  const asPrinted = (duration: string) => formatDuration(parseDuration(duration));
  return {
    ...c,
    kubernetesVersion: c.kubernetesVersion.startsWith("v") ? c.kubernetesVersion : `v${c.kubernetesVersion}`,
    // The feature gate is how v1beta3 asked for it, and goes before what is written.
    encryptionAlgorithm: c.featureGates?.["PublicKeysECDSA"] ? DEFAULT_ALGORITHM : c.encryptionAlgorithm,
    // As they lie in the cluster.
    certificateValidityPeriod: asPrinted(c.certificateValidityPeriod),
    caCertificateValidityPeriod: asPrinted(c.caCertificateValidityPeriod),
  };
}

/**
 * v1beta3's cluster as v1beta4 has it (kubeadm v1beta3 conversion.go): maps of flags become lists, and how long to wait
 * for the control plane is an InitConfiguration's to say.
 */
function convert({ apiServer, controllerManager, scheduler, etcd, dns, ...rest }: OldCluster) {
  const { timeoutForControlPlane: wait, ...server } = apiServer ?? {};
  const { type: _, ...names } = dns ?? {};
  return {
    cluster: {
      ...rest,
      apiServer: withArgList(server, "extraArgs"),
      controllerManager: withArgList(controllerManager, "extraArgs"),
      scheduler: withArgList(scheduler, "extraArgs"),
      etcd: { ...etcd, local: withArgList(etcd?.local, "extraArgs") },
      dns: names,
    },
    ...(wait === undefined ? {} : { init: { timeouts: { controlPlaneComponentHealthCheck: wait } } }),
  };
}
