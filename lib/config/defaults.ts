import { CA_VALIDITY, CERTIFICATE_VALIDITY, TOKEN_TTL } from "../constants/durations.ts";
import * as names from "../constants/names.ts";
import * as paths from "../constants/paths.ts";
import { API_SERVER_PORT } from "../constants/ports.ts";
import { TOKEN_USAGES } from "../constants/tokens.ts";
import { DEFAULT_IMAGE_REPOSITORY, KUBERNETES_VERSION } from "../constants/versions.ts";
import { canonicalIp, familiesOf } from "../net/ip.ts";
import { formatDuration, parseDuration } from "../util/duration.ts";
import type { BootstrapToken, ClusterConfiguration, InitConfiguration } from "./types.ts";

/** What defaulting needs to know of the host; looked up only where the configuration leaves it open. */
export interface HostDefaults {
  hostname(): string;
  /** This host's own address: of a family, where only one of that family will do. */
  advertiseAddress(family?: 4 | 6): string;
  newToken(): string;
}

/** kubeadm's default is RSA-2048; a small board makes P-256 keys in milliseconds instead of seconds. */
const DEFAULT_ALGORITHM = "ECDSA-P256";

/** A ClusterConfiguration with every field that the user left out filled in (kubeadm v1beta4 defaults.go). */
export function defaultCluster(c: Partial<ClusterConfiguration>): ClusterConfiguration {
  const etcd = c.etcd?.external
    ? { external: c.etcd.external }
    : { local: { ...c.etcd?.local, dataDir: c.etcd?.local?.dataDir || paths.ETCD_DATA_DIR } };
  const version = c.kubernetesVersion || KUBERNETES_VERSION;
  const { certSANs } = c.apiServer ?? {};
  return {
    ...c,
    // Names of load balancers are often told with capitals.
    apiServer: { ...c.apiServer, ...(certSANs ? { certSANs: certSANs.map((name) => name.toLowerCase()) } : {}) },
    controllerManager: c.controllerManager ?? {},
    scheduler: c.scheduler ?? {},
    etcd,
    networking: {
      ...(c.networking?.podSubnet ? { podSubnet: c.networking.podSubnet } : {}),
      serviceSubnet: c.networking?.serviceSubnet || names.SERVICE_SUBNET,
      dnsDomain: c.networking?.dnsDomain || names.DNS_DOMAIN,
    },
    kubernetesVersion: version.startsWith("v") ? version : `v${version}`,
    dns: c.dns ?? {},
    proxy: c.proxy ?? {},
    certificatesDir: c.certificatesDir || paths.CERTIFICATES_DIR,
    imageRepository: c.imageRepository || DEFAULT_IMAGE_REPOSITORY,
    clusterName: c.clusterName || names.CLUSTER_NAME,
    // The feature gate is how v1beta3 asked for it, and goes before what is written.
    encryptionAlgorithm: c.featureGates?.["PublicKeysECDSA"]
      ? DEFAULT_ALGORITHM
      : (c.encryptionAlgorithm ?? DEFAULT_ALGORITHM),
    certificateValidityPeriod: asPrinted(c.certificateValidityPeriod) ?? formatDuration(CERTIFICATE_VALIDITY),
    caCertificateValidityPeriod: asPrinted(c.caCertificateValidityPeriod) ?? formatDuration(CA_VALIDITY),
  };
}

/** A duration as Go prints it, which is how it lies in the cluster. */
const asPrinted = (text: string | undefined) => (text === undefined ? undefined : formatDuration(parseDuration(text)));

/** An InitConfiguration with every field that the user left out filled in (kubeadm v1beta4 defaults.go). */
export function defaultInit(
  c: Partial<InitConfiguration>,
  host: HostDefaults,
  serviceSubnet: string = names.SERVICE_SUBNET,
): InitConfiguration {
  const given = c.localAPIEndpoint?.advertiseAddress;
  const tokens: Partial<BootstrapToken>[] = c.bootstrapTokens?.length ? c.bootstrapTokens : [{}];
  return {
    ...c,
    bootstrapTokens: tokens.map((token) => defaultToken({ ...token, token: token.token ?? host.newToken() })),
    localAPIEndpoint: {
      advertiseAddress: isUnspecified(given) ? host.advertiseAddress(serviceFamily(serviceSubnet)) : given!,
      bindPort: c.localAPIEndpoint?.bindPort ?? API_SERVER_PORT,
    },
    nodeRegistration: {
      ...c.nodeRegistration,
      name: c.nodeRegistration?.name || host.hostname(),
      criSocket: c.nodeRegistration?.criSocket || paths.DEFAULT_CRI_SOCKET,
      imagePullPolicy: c.nodeRegistration?.imagePullPolicy || "IfNotPresent",
    },
  };
}

/** Whether an address stands for any of a host's own. */
export const isUnspecified = (address: string | undefined): boolean =>
  address === undefined || address === "" || address === "0.0.0.0" || canonicalIp(address) === "::";

/** The IP family of a cluster's first service network, which is the one that its API servers must have an address of. */
export const serviceFamily = (serviceSubnet: string): 4 | 6 | undefined => familiesOf(serviceSubnet)[0];

/** A bootstrap token entry with kubeadm's default lifetime, usages and group. */
export function defaultToken(token: Partial<BootstrapToken> & { token: string }): BootstrapToken {
  return {
    ...token,
    ...(token.expires === undefined ? { ttl: token.ttl ?? formatDuration(TOKEN_TTL) } : {}),
    usages: token.usages?.length ? token.usages : [...TOKEN_USAGES],
    groups: token.groups?.length ? token.groups : [names.GROUP_BOOTSTRAPPERS],
  };
}
