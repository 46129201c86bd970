import { resolve } from "node:path";
import { newToken } from "../lib/cluster/tokens.ts";
import type { ClusterConfiguration } from "../lib/config/kinds/cluster.ts";
import type { BootstrapToken, InitConfiguration } from "../lib/config/kinds/init.ts";
import type { FlagConfig } from "../lib/config/load.ts";
import { DAY, HOUR, MINUTE } from "../lib/constants/durations.ts";
import { DNS_DOMAIN, SERVICE_SUBNET } from "../lib/constants/names.ts";
import { CERTIFICATES_DIR } from "../lib/constants/paths.ts";
import { API_SERVER_PORT } from "../lib/constants/ports.ts";
import { DEFAULT_IMAGE_REPOSITORY, KUBERNETES_VERSION } from "../lib/constants/versions.ts";
import { UsageError } from "../lib/errors.ts";
import { formatDuration, parseDuration } from "../lib/util/duration.ts";
import { byName, type Flag, GLOBAL_FLAGS, listValue, NODE_FLAGS, nodeFlags, patchesFlag } from "./flags.ts";

/** The flags of `init`; names, meanings and defaults are kubeadm's. */
export const INIT_FLAGS: Flag[] = byName([
  ...NODE_FLAGS,
  {
    name: "apiserver-advertise-address",
    description:
      "The IP address the API Server will advertise it's listening on. If not set the address of the default route's interface is used.",
    valueHint: "address",
  },
  {
    name: "apiserver-bind-port",
    description: `Port for the API Server to bind to (default ${API_SERVER_PORT}).`,
    valueHint: "port",
  },
  {
    name: "apiserver-cert-extra-sans",
    description: "Extra Subject Alternative Names (IP addresses and DNS names) for the API Server's certificate.",
    valueHint: "names",
    list: true,
  },
  {
    name: "cert-dir",
    description: `The path where to save and store the certificates (default ${CERTIFICATES_DIR}).`,
    valueHint: "directory",
  },
  {
    name: "certificate-key",
    description:
      "Key used to encrypt the control-plane certificates in the kubeadm-certs Secret: 64 hexadecimal digits.",
    valueHint: "key",
    besideConfig: true,
  },
  {
    name: "control-plane-endpoint",
    description: "A stable IP address or DNS name for the control plane.",
    valueHint: "host[:port]",
  },
  {
    name: "dry-run",
    description: "Don't apply any changes; just output what would be done.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "feature-gates",
    description: "A set of key=value pairs that describe feature gates.",
    valueHint: "gates",
    list: true,
  },
  {
    name: "image-repository",
    description: `A container registry to pull control plane images from (default ${DEFAULT_IMAGE_REPOSITORY}).`,
    valueHint: "registry",
  },
  {
    name: "kubernetes-version",
    description: `A specific Kubernetes version for the control plane (default ${KUBERNETES_VERSION}, this executable's own).`,
    valueHint: "version",
  },
  {
    name: "network",
    description:
      "The pods' network: flat (routes between the nodes of one segment), none, or a file of a provider's manifests.",
    valueHint: "flat|none|file",
    default: "flat",
    besideConfig: true,
  },
  {
    name: "pod-network-cidr",
    description:
      "The range of IP addresses for the pod network; with it the control plane allocates CIDRs for every node.",
    valueHint: "cidr",
  },
  {
    name: "rootfs",
    description:
      "Write below this directory instead of /. Together with --dry-run everything that init would write lands there.",
    valueHint: "directory",
    besideConfig: true,
  },
  {
    name: "service-cidr",
    description: `An alternative range of IP addresses for service VIPs (default ${SERVICE_SUBNET}).`,
    valueHint: "cidr",
  },
  {
    name: "service-dns-domain",
    description: `An alternative domain for services (default ${DNS_DOMAIN}).`,
    valueHint: "domain",
  },
  {
    name: "skip-certificate-key-print",
    description: "Don't print the key used to encrypt the control-plane certificates.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "skip-token-print",
    description: "Skip printing of the default bootstrap token.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "token",
    description:
      "The token to use for establishing trust between nodes and control-plane nodes ([a-z0-9]{6}.[a-z0-9]{16}).",
    valueHint: "token",
  },
  {
    name: "token-ttl",
    description: "The duration before the token is deleted (e.g. 1s, 2m, 3h). '0' never expires (default 24h0m0s).",
    valueHint: "duration",
  },
  {
    name: "upload-certs",
    description: "Upload control-plane certificates to the kubeadm-certs Secret.",
    type: "boolean",
    besideConfig: true,
  },
  ...GLOBAL_FLAGS,
]);

/** Flags of every `init phase X`, besides those that the phase itself names. */
export const PHASE_FLAGS = [
  "config",
  "dry-run",
  "rootfs",
  "ignore-preflight-errors",
  "node-name",
  "cri-socket",
  "output",
  "v",
];

type Given = Map<string, string>;

/** The configuration that flags alone describe, for `parseFlags`. */
export function flagConfig(given: Given): FlagConfig {
  const cluster: Record<string, unknown> = {};
  const init: Record<string, unknown> = {};
  const flagOf: Record<string, string> = {};
  const set = (
    owner: Record<string, unknown>,
    path: string,
    flag: string,
    convert: (value: string) => unknown = (v) => v,
  ) => {
    const value = given.get(flag);
    if (value === undefined || value === "") return;
    flagOf[path] = `--${flag}`;
    const keys = path.split(".");
    let at = owner;
    for (const key of keys.slice(0, -1)) {
      at[key] ??= {};
      at = at[key] as Record<string, unknown>;
    }
    at[keys.at(-1)!] = convert(value);
  };
  set(init, "localAPIEndpoint.advertiseAddress", "apiserver-advertise-address");
  set(init, "localAPIEndpoint.bindPort", "apiserver-bind-port", bindPort);
  set(cluster, "apiServer.certSANs", "apiserver-cert-extra-sans", () => listValue(given, "apiserver-cert-extra-sans"));
  set(cluster, "certificatesDir", "cert-dir", (path) => resolve(path));
  set(cluster, "controlPlaneEndpoint", "control-plane-endpoint");
  set(cluster, "featureGates", "feature-gates", () => gates(listValue(given, "feature-gates")));
  set(cluster, "imageRepository", "image-repository");
  set(cluster, "kubernetesVersion", "kubernetes-version");
  set(cluster, "networking.podSubnet", "pod-network-cidr");
  set(cluster, "networking.serviceSubnet", "service-cidr");
  set(cluster, "networking.dnsDomain", "service-dns-domain");
  const ttl = given.get("token-ttl");
  if (given.has("token") || ttl !== undefined) {
    const token: Partial<BootstrapToken> = { token: given.get("token") ?? newToken() };
    if (ttl !== undefined) token.ttl = durationFlag("token-ttl", ttl);
    init["bootstrapTokens"] = [token];
    flagOf["bootstrapTokens[0].token"] = "--token";
    flagOf["bootstrapTokens[0].ttl"] = "--token-ttl";
  }
  return { init: init as Partial<InitConfiguration>, cluster: cluster as Partial<ClusterConfiguration>, flagOf };
}

/** Settings that a flag overrides whether or not there is a configuration file. */
export function overrides(given: Given, init: NonNullable<FlagConfig["init"]>): NonNullable<FlagConfig["init"]> {
  const key = given.get("certificate-key");
  return {
    ...init,
    nodeRegistration: { ...init.nodeRegistration, ...nodeFlags(given) },
    ...patchesFlag(given),
    ...(key ? { certificateKey: key } : {}),
  };
}

/** A port out of --apiserver-bind-port. Throws UsageError. */
export function bindPort(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > 65535)
    throw new UsageError(`--apiserver-bind-port is a port from 1 to 65535, not ${JSON.stringify(value)}`);
  return number;
}

function gates(pairs: string[]): Record<string, boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^([A-Za-z0-9]+)=(true|false)$/.exec(pair);
      if (!match) throw new UsageError(`--feature-gates takes name=true or name=false, not ${JSON.stringify(pair)}`);
      return [match[1]!, match[2] === "true"];
    }),
  );
}

/** A flag's duration as Go prints it; a bare 0 is taken too. Throws UsageError naming the flag. */
export function durationFlag(name: string, value: string): string {
  try {
    return formatDuration(parseDuration(value === "0" ? "0s" : value));
  } catch {
    throw new UsageError(
      `--${name} is a duration such as ${formatDuration(2 * HOUR + 30 * MINUTE)} or ${formatDuration(DAY)}, not ${JSON.stringify(value)}`,
    );
  }
}
