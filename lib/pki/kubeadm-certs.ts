import type { InitConfig } from "../config/init-config.ts";
import { GROUP_CLUSTER_ADMINS } from "../constants/names.ts";
import { canonicalIp, indexedIp, parseCidr, splitHostPort } from "../net/ip.ts";

/** Subject alternative names of a certificate, each once, sorted as kubeadm sorts them (IP addresses in canonical form). */
export interface AltNames {
  dnsNames: string[];
  ipAddresses: string[];
}

/** One of kubeadm's certificates: phase name, file name below the certificates directory, and what it says. */
export interface CertSpec {
  /** Name of the phase, such as `etcd-server`. */
  name: string;
  /** What it is for, in the words of kubeadm's help. */
  short: string;
  /** File name without `.crt` and `.key`. */
  base: string;
  /** The phase name of the CA that signs it; undefined for a CA itself. */
  ca?: string;
  commonName: (config: InitConfig) => string;
  organizations?: string[];
  usages?: ("server" | "client")[];
  altNames?: (config: InitConfig) => AltNames;
  /** Left out when etcd runs elsewhere. */
  localEtcdOnly?: boolean;
}

const fixed = (name: string) => () => name;
const nodeName = (config: InitConfig) => config.nodeRegistration.name;

/** kubeadm's ten certificates, each CA before what it signs (kubeadm certs/certlist.go). */
export const CERTIFICATES: CertSpec[] = [
  {
    name: "ca",
    short: "the self-signed Kubernetes CA to provision identities for other Kubernetes components",
    base: "ca",
    commonName: fixed("kubernetes"),
  },
  {
    name: "apiserver",
    short: "the certificate for serving the Kubernetes API",
    base: "apiserver",
    ca: "ca",
    commonName: fixed("kube-apiserver"),
    usages: ["server"],
    altNames: apiServerAltNames,
  },
  {
    name: "apiserver-kubelet-client",
    short: "the certificate for the API server to connect to kubelet",
    base: "apiserver-kubelet-client",
    ca: "ca",
    commonName: fixed("kube-apiserver-kubelet-client"),
    usages: ["client"],
  },
  {
    name: "front-proxy-ca",
    short: "the self-signed CA to provision identities for front proxy",
    base: "front-proxy-ca",
    commonName: fixed("front-proxy-ca"),
  },
  {
    name: "front-proxy-client",
    short: "the certificate for the front proxy client",
    base: "front-proxy-client",
    ca: "front-proxy-ca",
    commonName: fixed("front-proxy-client"),
    usages: ["client"],
  },
  {
    name: "etcd-ca",
    short: "the self-signed CA to provision identities for etcd",
    base: "etcd/ca",
    commonName: fixed("etcd-ca"),
    localEtcdOnly: true,
  },
  {
    name: "etcd-server",
    short: "the certificate for serving etcd",
    base: "etcd/server",
    ca: "etcd-ca",
    commonName: nodeName,
    usages: ["server", "client"],
    altNames: (c) => etcdAltNames(c, c.cluster.etcd.local?.serverCertSANs),
    localEtcdOnly: true,
  },
  {
    name: "etcd-peer",
    short: "the certificate for etcd nodes to communicate with each other",
    base: "etcd/peer",
    ca: "etcd-ca",
    commonName: nodeName,
    usages: ["server", "client"],
    altNames: (c) => etcdAltNames(c, c.cluster.etcd.local?.peerCertSANs),
    localEtcdOnly: true,
  },
  {
    name: "etcd-healthcheck-client",
    short: "the certificate for liveness probes to healthcheck etcd",
    base: "etcd/healthcheck-client",
    ca: "etcd-ca",
    commonName: fixed("kube-etcd-healthcheck-client"),
    usages: ["client"],
    localEtcdOnly: true,
  },
  {
    name: "apiserver-etcd-client",
    short: "the certificate the apiserver uses to access etcd",
    base: "apiserver-etcd-client",
    ca: "etcd-ca",
    commonName: fixed("kube-apiserver-etcd-client"),
    usages: ["client"],
    localEtcdOnly: true,
  },
];

/** The identity of a kubeconfig's client certificate (kubeadm kubeconfig.go). */
export interface ClientIdentity {
  commonName: string;
  organizations: string[];
}

/** Administrators through RBAC; they lose their rights with the binding. */
export const ADMIN_IDENTITY: ClientIdentity = { commonName: "kubernetes-admin", organizations: [GROUP_CLUSTER_ADMINS] };

/** The first address of the service network, which the `kubernetes` Service takes. */
function kubernetesServiceIp(config: InitConfig): string {
  return indexedIp(parseCidr(config.cluster.networking.serviceSubnet.split(",")[0]!)!, 1)!;
}

function apiServerAltNames(config: InitConfig): AltNames {
  const domain = config.cluster.networking.dnsDomain;
  const endpoint = config.cluster.controlPlaneEndpoint;
  return altNames([
    nodeName(config),
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${domain}`,
    kubernetesServiceIp(config),
    config.localAPIEndpoint.advertiseAddress,
    ...(endpoint ? [splitHostPort(endpoint)!.host] : []),
    ...(config.cluster.apiServer.certSANs ?? []),
  ]);
}

function etcdAltNames(config: InitConfig, extra: string[] | undefined): AltNames {
  return altNames([
    nodeName(config),
    "localhost",
    config.localAPIEndpoint.advertiseAddress,
    "127.0.0.1",
    "::1",
    ...(extra ?? []),
  ]);
}

function altNames(names: string[]): AltNames {
  const dnsNames = new Set<string>();
  const ipAddresses = new Set<string>();
  for (const name of names) {
    const ip = canonicalIp(name);
    if (ip) ipAddresses.add(ip);
    else dnsNames.add(name);
  }
  return { dnsNames: [...dnsNames], ipAddresses: [...ipAddresses] };
}
