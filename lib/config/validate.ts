import { isAbsolute } from "node:path";
import { SERVICE_SUBNET } from "../constants/names.ts";
import { REMOVED_FEATURE_GATES } from "../constants/removed-flags.ts";
import { TOKEN_GROUP_PATTERN, TOKEN_PATTERN } from "../constants/tokens.ts";
import { KUBERNETES_VERSION } from "../constants/versions.ts";
import * as net from "../net/ip.ts";
import { parseDuration } from "../util/duration.ts";
import { isSince, parseVersion } from "../util/version.ts";
import { own } from "../yaml/plain.ts";
import { companionsOf } from "./companions.ts";
import { removedEtcdFlag } from "./removed.ts";
import type {
  Arg,
  ClusterConfiguration,
  ComponentConfig,
  ControlPlaneComponent,
  InitConfig,
  InitConfiguration,
  JoinConfiguration,
  NodeRegistration,
} from "./types.ts";

/** Notes a problem at a path of a document; `validate` functions call it once for each thing that is wrong. */
export type Report = (path: string, message: string) => void;

type Deep<T> = {
  [K in keyof T]?: T[K] extends readonly unknown[] | undefined
    ? T[K]
    : T[K] extends object | undefined
      ? Deep<T[K]>
      : T[K];
};

/** kubeadm's feature gates; value: why it cannot be set to the given value, or undefined when it can. */
const FEATURE_GATES: Record<string, (on: boolean) => string | undefined> = {
  ControlPlaneKubeletLocalMode: (on) => (on ? undefined : "is always on in kubestick; remove the line"),
  NodeLocalCRISocket: (on) => (on ? undefined : "is always on in kubestick; remove the line"),
  // encryptionAlgorithm decides.
  PublicKeysECDSA: () => undefined,
  RootlessControlPlane: (on) => (on ? "is not supported by kubestick; remove the line" : undefined),
};

const IMAGE_REPOSITORY = /^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:\d{1,5})?(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const IMAGE_TAG = /^[\w][\w.-]{0,127}$/;

/** Checks a ClusterConfiguration's values (kubeadm validation.go), beyond the types that its schema has checked. */
export function validateCluster(c: Deep<ClusterConfiguration>, report: Report): void {
  if (c.kubernetesVersion !== undefined && !parseVersion(c.kubernetesVersion)) {
    report(
      "kubernetesVersion",
      `${JSON.stringify(c.kubernetesVersion)} must be an exact version such as v1.36.2; kubestick never looks versions up`,
    );
  }
  validateSubnets(c, report);
  if (c.networking?.dnsDomain !== undefined && !net.isDnsSubdomain(c.networking.dnsDomain)) {
    report(
      "networking.dnsDomain",
      `${JSON.stringify(c.networking.dnsDomain)} must be a lower case DNS domain such as cluster.local`,
    );
  }
  if (c.controlPlaneEndpoint) validateEndpoint(c.controlPlaneEndpoint, "controlPlaneEndpoint", report);
  validateSans(
    c.apiServer?.certSANs?.map((name) => name.toLowerCase()),
    "apiServer.certSANs",
    report,
  );
  for (const name of ["apiServer", "controllerManager", "scheduler"] as const) {
    validateComponent(c[name] as ControlPlaneComponent | undefined, name, report);
  }
  validateEtcd(c, report);
  absolute(c.certificatesDir, "certificatesDir", report);
  for (const [path, repository] of [
    ["imageRepository", c.imageRepository],
    ["dns.imageRepository", c.dns?.imageRepository],
    ["etcd.local.imageRepository", c.etcd?.local?.imageRepository],
  ] as const) {
    if (repository && (repository.length > 255 || !IMAGE_REPOSITORY.test(repository))) {
      report(
        path,
        `${JSON.stringify(repository)} must be a registry with an optional path, such as registry.k8s.io or 10.0.0.1:5000/k8s`,
      );
    }
  }
  for (const [path, tag] of [
    ["dns.imageTag", c.dns?.imageTag],
    ["etcd.local.imageTag", c.etcd?.local?.imageTag],
  ] as const) {
    if (tag && !IMAGE_TAG.test(tag)) report(path, `${JSON.stringify(tag)} must be an image tag such as v1.2.3`);
  }
  const version = c.kubernetesVersion || KUBERNETES_VERSION;
  for (const [gate, on] of Object.entries((c.featureGates ?? {}) as Record<string, boolean>)) {
    const known = own(FEATURE_GATES, gate);
    const removed = known && REMOVED_FEATURE_GATES[gate];
    const wrong = !known
      ? `is not a feature gate of kubeadm; known: ${Object.keys(FEATURE_GATES).join(", ")}`
      : removed && isSince(version, removed)
        ? `is gone since kubeadm ${removed}, which refuses a cluster's configuration with it; remove the line`
        : known(on);
    if (wrong) report(`featureGates.${gate}`, wrong);
  }
  if (c.clusterName !== undefined && !/^\P{C}{1,253}$/u.test(c.clusterName)) {
    report("clusterName", "must be a name of at most 253 characters, none of them a control character");
  }
  const leaf = positive(c.certificateValidityPeriod, "certificateValidityPeriod", report);
  const ca = positive(c.caCertificateValidityPeriod, "caCertificateValidityPeriod", report);
  if (leaf !== undefined && ca !== undefined && leaf > ca) {
    report("certificateValidityPeriod", "must not be longer than caCertificateValidityPeriod; shorten it");
  }
}

/**
 * Checks that the API server can advertise its address: the first service network and it are of one IP family, or the
 * server ends with "service IP family must match public address family" (kube-apiserver options/validation.go).
 */
export function validateFamilies(config: InitConfig, report: Report): void {
  const { extraArgs } = config.cluster.apiServer;
  const flag = (name: string) => extraArgs?.findLast((arg) => arg.name === name)?.value;
  const subnet = flag("service-cluster-ip-range") ?? config.cluster.networking.serviceSubnet;
  const address = flag("advertise-address") ?? config.localAPIEndpoint.advertiseAddress;
  const [services] = net.familiesOf(subnet);
  const family = net.parseIp(address)?.family;
  if (services === undefined || family === undefined || services === family) return;
  report(
    "networking.serviceSubnet",
    `its first network ${subnet.split(",")[0]} is IPv${services}, and the API server's address ${address} is IPv${family}; they must be of one family: put an IPv${family} network first, or give an IPv${services} localAPIEndpoint.advertiseAddress`,
  );
}

/** Pod networks are cut into one block a node: kube-controller-manager's default node mask by family. */
const NODE_MASK = { 4: 24, 6: 64 } as const;

function validateSubnets(c: Deep<ClusterConfiguration>, report: Report): void {
  const serviceSubnet = c.networking?.serviceSubnet || SERVICE_SUBNET;
  const services = cidrs(serviceSubnet, "networking.serviceSubnet", report);
  const pods = cidrs(c.networking?.podSubnet, "networking.podSubnet", report);
  for (const cidr of services) {
    if (net.hostBits(cidr) > 20) {
      report(
        "networking.serviceSubnet",
        `is too large; use a mask of /${(cidr.family === 4 ? 32 : 128) - 20} or longer, such as ${cidr.family === 4 ? "10.96.0.0/12" : "fd00:10:96::/112"}`,
      );
    } else if (net.hostBits(cidr) < 4) {
      report("networking.serviceSubnet", "is too small; at least 16 addresses are needed");
    }
  }
  const args = c.controllerManager?.extraArgs ?? [];
  for (const cidr of pods) {
    const flag = args.find(
      (a) => a.name === `node-cidr-mask-size-ipv${cidr.family}` || a.name === "node-cidr-mask-size",
    );
    const mask = flag ? Number(flag.value) : NODE_MASK[cidr.family];
    if (cidr.bits > mask) {
      report(
        "networking.podSubnet",
        `has a /${cidr.bits} mask, too small for a /${mask} block a node; use /${mask} or shorter, or set controllerManager.extraArgs node-cidr-mask-size-ipv${cidr.family}`,
      );
    } else if (mask - cidr.bits > 16) {
      report(
        "networking.podSubnet",
        `with a /${cidr.bits} mask and /${mask} a node makes more than 65536 blocks; use /${mask - 16} or longer, or set controllerManager.extraArgs node-cidr-mask-size-ipv${cidr.family}`,
      );
    }
  }
  for (const pod of pods) {
    if (services.some((service) => net.overlaps(service, pod))) {
      report(
        "networking.podSubnet",
        `${c.networking?.podSubnet} overlaps the service subnet ${serviceSubnet}; choose ranges that share no address, such as 10.244.0.0/16 and 10.96.0.0/12`,
      );
    }
  }
}

function cidrs(text: string | undefined, path: string, report: Report): net.Cidr[] {
  if (text === undefined || text === "") return [];
  const parts = text.split(",");
  const parsed = parts.map((part) => net.parseCidr(part));
  const bad = parsed.indexOf(undefined);
  if (bad !== -1) {
    report(path, `${JSON.stringify(parts[bad])} must be a network in CIDR form, such as 10.244.0.0/16`);
    return [];
  }
  const all = parsed as net.Cidr[];
  if (all.length > 2 || (all.length === 2 && all[0]!.family === all[1]!.family)) {
    report(path, "must be one network, or two of different IP families (dual-stack)");
  }
  return all;
}

function validateEndpoint(text: string, path: string, report: Report): void {
  const parts = net.splitHostPort(text);
  if (!parts || (net.parseIp(parts.host) === undefined && !net.isDnsSubdomain(parts.host))) {
    report(
      path,
      `${JSON.stringify(text)} must be a DNS name or IP address with an optional port, such as cluster.lan:6443`,
    );
  }
}

function validateSans(sans: string[] | undefined, path: string, report: Report): void {
  for (const [i, san] of (sans ?? []).entries()) {
    if (net.parseIp(san) === undefined && !net.isDnsSan(san)) {
      report(
        `${path}[${i}]`,
        `${JSON.stringify(san)} must be an IP address or a lower case DNS name, without scheme or port`,
      );
    }
  }
}

function validateComponent(component: ControlPlaneComponent | undefined, path: string, report: Report): void {
  validateArgs(component?.extraArgs, `${path}.extraArgs`, report);
  const names = new Set<string>();
  for (const [i, volume] of (component?.extraVolumes ?? []).entries()) {
    const at = `${path}.extraVolumes[${i}]`;
    absolute(volume.hostPath, `${at}.hostPath`, report);
    absolute(volume.mountPath, `${at}.mountPath`, report);
    if (names.has(volume.name)) report(`${at}.name`, `"${volume.name}" is used twice; volume names are unique`);
    names.add(volume.name);
  }
}

function validateArgs(args: Arg[] | undefined, path: string, report: Report): void {
  for (const [i, arg] of (args ?? []).entries()) {
    if (arg.name === undefined) continue;
    if (!/^[A-Za-z0-9][-.\w]*$/.test(arg.name)) {
      report(
        `${path}[${i}]`,
        `${JSON.stringify(arg.name)} must be a flag's name without dashes before it, such as "v"`,
      );
    }
  }
}

function validateEtcd(c: Deep<ClusterConfiguration>, report: Report): void {
  const { local, external } = c.etcd ?? {};
  if (local && external) report("etcd", "has both local and external; keep one");
  if (local) {
    absolute(local.dataDir, "etcd.local.dataDir", report);
    validateArgs(local.extraArgs, "etcd.local.extraArgs", report);
    const tag = local.imageTag || companionsOf(c.kubernetesVersion || KUBERNETES_VERSION).etcd;
    for (const [i, { name }] of (local.extraArgs ?? []).entries()) {
      const removed = name !== undefined && removedEtcdFlag(tag, name);
      if (removed) report(`etcd.local.extraArgs[${i}]`, removed);
    }
    validateSans(local.serverCertSANs, "etcd.local.serverCertSANs", report);
    validateSans(local.peerCertSANs, "etcd.local.peerCertSANs", report);
  }
  if (!external) return;
  const endpoints = external.endpoints ?? [];
  if (endpoints.length === 0) report("etcd.external.endpoints", "needs at least one URL");
  for (const [i, url] of endpoints.entries()) {
    const scheme = /^(https?):\/\/[^/\s]+$/.exec(url)?.[1];
    if (!scheme)
      report(`etcd.external.endpoints[${i}]`, `${JSON.stringify(url)} must be a URL such as https://10.0.0.5:2379`);
    else if (scheme === "http" && external.caFile) {
      report(`etcd.external.endpoints[${i}]`, "is http although a caFile is given; use https");
    }
  }
  for (const name of ["caFile", "certFile", "keyFile"] as const)
    absolute(external[name], `etcd.external.${name}`, report);
  if (!external.certFile !== !external.keyFile) report("etcd.external", "needs certFile and keyFile together");
  if (external.certFile && !external.caFile) report("etcd.external", "needs caFile beside certFile and keyFile");
}

/** Checks an InitConfiguration's values (kubeadm validation.go). */
export function validateInit(c: Deep<InitConfiguration>, report: Report): void {
  const ids = new Set<string>();
  for (const [i, token] of (c.bootstrapTokens ?? []).entries()) {
    const at = `bootstrapTokens[${i}]`;
    validateToken(token.token, `${at}.token`, report);
    const id = token.token?.split(".")[0];
    if (id && ids.has(id)) report(`${at}.token`, `uses the token id ${id} a second time; ids are unique`);
    if (id) ids.add(id);
    if (token.ttl !== undefined && token.expires !== undefined) report(at, "has both ttl and expires; keep one");
    if (token.ttl !== undefined && parseDuration(token.ttl) < 0)
      report(`${at}.ttl`, "must not be negative; 0s means never");
    for (const [j, group] of (token.groups ?? []).entries()) {
      if (!TOKEN_GROUP_PATTERN.test(group))
        report(
          `${at}.groups[${j}]`,
          `${JSON.stringify(group)} must begin with system:bootstrappers: and end with a letter or digit`,
        );
    }
  }
  validateNode(c.nodeRegistration as Partial<NodeRegistration> | undefined, report);
  validateAddress(c.localAPIEndpoint?.advertiseAddress, "localAPIEndpoint.advertiseAddress", report);
  validateCertificateKey(c.certificateKey, "certificateKey", report);
  for (const [name, value] of Object.entries(c.timeouts ?? {})) positive(value as string, `timeouts.${name}`, report);
  absolute(c.patches?.directory, "patches.directory", report);
}

/** Checks a JoinConfiguration's values (kubeadm validation.go). */
export function validateJoin(c: JoinConfiguration, report: Report): void {
  validateNode(c.nodeRegistration, report);
  absolute(c.caCertPath, "caCertPath", report);
  if (c.caCertPath && !c.caCertPath.endsWith(".crt")) report("caCertPath", "must end with .crt");
  const token = c.discovery?.bootstrapToken;
  const file = c.discovery?.file;
  if (!token && !file) report("discovery", "needs bootstrapToken or file");
  if (token && file) report("discovery", "has both bootstrapToken and file; keep one");
  if (file && !file.kubeConfigPath) report("discovery.file", 'needs the field "kubeConfigPath"');
  if (token) {
    if (token.token !== undefined) validateToken(token.token, "discovery.bootstrapToken.token", report);
    else if (!c.discovery?.tlsBootstrapToken) report("discovery.bootstrapToken", 'needs the field "token"');
    if (token.apiServerEndpoint === undefined)
      report("discovery.bootstrapToken", 'needs the field "apiServerEndpoint"');
    else validateEndpoint(token.apiServerEndpoint, "discovery.bootstrapToken.apiServerEndpoint", report);
    for (const [i, pin] of (token.caCertHashes ?? []).entries()) {
      if (!/^sha256:[0-9a-f]{64}$/i.test(pin))
        report(`discovery.bootstrapToken.caCertHashes[${i}]`, "must be sha256: and 64 hexadecimal digits");
    }
    if (!token.unsafeSkipCAVerification && (token.caCertHashes ?? []).length === 0) {
      report("discovery.bootstrapToken", "needs caCertHashes, or unsafeSkipCAVerification: true");
    }
  }
  if (c.discovery?.tlsBootstrapToken)
    validateToken(c.discovery.tlsBootstrapToken, "discovery.tlsBootstrapToken", report);
  validateAddress(
    c.controlPlane?.localAPIEndpoint?.advertiseAddress,
    "controlPlane.localAPIEndpoint.advertiseAddress",
    report,
  );
  validateCertificateKey(c.controlPlane?.certificateKey, "controlPlane.certificateKey", report);
  for (const [name, value] of Object.entries(c.timeouts ?? {})) positive(value, `timeouts.${name}`, report);
  absolute(c.patches?.directory, "patches.directory", report);
}

function validateToken(token: string | undefined, path: string, report: Report): void {
  if (token !== undefined && !TOKEN_PATTERN.test(token)) {
    report(
      path,
      "must be six characters, a dot and sixteen characters, all of a-z and 0-9 (as abcdef.0123456789abcdef)",
    );
  }
}

function validateNode(node: Partial<NodeRegistration> | undefined, report: Report): void {
  if (node?.name !== undefined && node.name !== "" && !net.isDnsSubdomain(node.name)) {
    report(
      "nodeRegistration.name",
      `${JSON.stringify(node.name)} must be a lower case host name (letters, digits, '-' and '.')`,
    );
  }
  if (node?.criSocket !== undefined && node.criSocket !== "" && !/^unix:\/\/\/[^\s]+$/.test(node.criSocket)) {
    const fix = "such as unix:///run/containerd/containerd.sock";
    report("nodeRegistration.criSocket", `${JSON.stringify(node.criSocket)} must be a unix:// address; ${fix}`);
  }
  for (const [i, taint] of (node?.taints ?? []).entries()) {
    const [name, prefix] = (taint.key ?? "").split("/").reverse();
    const bad =
      !/^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(name ?? "") ||
      (prefix !== undefined && !net.isDnsSubdomain(prefix));
    if (taint.key !== undefined && bad)
      report(
        `nodeRegistration.taints[${i}].key`,
        `${JSON.stringify(taint.key)} must be a label key such as example.com/role`,
      );
  }
  validateArgs(node?.kubeletExtraArgs, "nodeRegistration.kubeletExtraArgs", report);
}

function validateAddress(address: string | undefined, path: string, report: Report): void {
  if (address === undefined || address === "") return;
  const ip = net.parseIp(address);
  if (!ip) report(path, `${JSON.stringify(address)} must be an IP address of this host`);
  else if (net.isLoopback(address))
    report(path, `${address} is a loopback address, which other nodes cannot reach; use the board's own`);
}

function validateCertificateKey(key: string | undefined, path: string, report: Report): void {
  if (key !== undefined && key !== "" && !/^[0-9a-f]{64}$/i.test(key)) {
    report(path, "must be 64 hexadecimal digits (32 bytes), as `openssl rand -hex 32` prints");
  }
}

/** Checks what a component's own configuration says about addresses; the rest is the component's to judge. */
export function validateComponentConfig(kind: string, c: ComponentConfig, report: Report): void {
  if (kind === "KubeletConfiguration") {
    for (const [i, address] of ((c["clusterDNS"] as string[] | undefined) ?? []).entries()) {
      if (!net.parseIp(address)) report(`clusterDNS[${i}]`, `${JSON.stringify(address)} must be an IP address`);
    }
    const domain = c["clusterDomain"] as string | undefined;
    if (domain && !net.isDnsSubdomain(domain))
      report("clusterDomain", `${JSON.stringify(domain)} must be a DNS domain`);
    return;
  }
  cidrs(c["clusterCIDR"] as string | undefined, "clusterCIDR", report);
}

function absolute(path: string | undefined, at: string, report: Report): void {
  if (path !== undefined && path !== "" && (!isAbsolute(path) || path.includes("\0"))) {
    report(at, `${JSON.stringify(path)} must be an absolute path`);
  }
}

function positive(text: string | undefined, path: string, report: Report): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms <= 0) report(path, "must be longer than nothing");
  return ms;
}
