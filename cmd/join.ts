import { type JoinOptions, join } from "../lib/commands/join.ts";
import type { JoinConfiguration } from "../lib/config/kinds/join.ts";
import { type ParsedConfig, parseConfig, parseFlags } from "../lib/config/load.ts";
import { UsageError } from "../lib/errors.ts";
import {
  bundleOptions,
  byName,
  type Flag,
  GLOBAL_FLAGS,
  listValue,
  NODE_FLAGS,
  nodeBundle,
  nodeFlags,
  patchesFlag,
  readConfigFile,
  rejectMixedFlags,
  reporting,
  uiOf,
} from "./flags.ts";
import { bindPort } from "./init-flags.ts";

type Given = Map<string, string>;

/** The flags of `join`; names, meanings and defaults are kubeadm's. */
export const JOIN_FLAGS: Flag[] = byName([
  ...NODE_FLAGS,
  {
    name: "apiserver-advertise-address",
    description: "If the node should host a new control plane instance, the address its API Server will advertise.",
    valueHint: "address",
  },
  {
    name: "apiserver-bind-port",
    description: "If the node should host a new control plane instance, the port for the API Server to bind to.",
    valueHint: "port",
  },
  {
    name: "certificate-key",
    description: "Use this key to decrypt the certificate secrets uploaded by init.",
    valueHint: "key",
  },
  {
    name: "control-plane",
    description: "Create a new control plane instance on this node.",
    type: "boolean",
  },
  {
    name: "dry-run",
    description: "Don't apply any changes; just output what would be done. The cluster is looked for and read.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "discovery-file",
    description: "For file-based discovery, a file or https URL from which to load cluster information.",
    valueHint: "file|url",
  },
  {
    name: "discovery-token",
    description:
      "For token-based discovery, the token used to validate cluster information fetched from the API server.",
    valueHint: "token",
  },
  {
    name: "discovery-token-ca-cert-hash",
    description:
      'For token-based discovery, validate that the root CA public key matches this hash (format: "sha256:<hex>").',
    valueHint: "hashes",
    list: true,
  },
  {
    name: "discovery-token-unsafe-skip-ca-verification",
    description: "For token-based discovery, allow joining without --discovery-token-ca-cert-hash pinning.",
    type: "boolean",
  },
  {
    name: "sync-time",
    description:
      "Set this host's clock to the control plane's when certificates are not valid at its own time. A clock before the cluster's CA is always set.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "tls-bootstrap-token",
    description: "The token used to temporarily authenticate with the control plane while joining the node.",
    valueHint: "token",
  },
  {
    name: "token",
    description: "Use this token for both discovery-token and tls-bootstrap-token when those values are not provided.",
    valueHint: "token",
  },
  ...GLOBAL_FLAGS,
]);

/** Runs `kubestick join [host:port]`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runJoin(given: Given, [endpoint]: string[], words: string[] = []): Promise<void> {
  const ui = uiOf(given);
  const options: JoinOptions = {
    ...bundleOptions(given),
    ui,
    phase: words,
    config: parse(given, endpoint),
    bundle: nodeBundle(given),
    dryRun: given.get("dry-run") === "true",
    syncTime: given.get("sync-time") === "true",
    skipPhases: listValue(given, "skip-phases"),
    ignorePreflightErrors: listValue(given, "ignore-preflight-errors"),
    environment: process.env,
  };
  await reporting(ui, "join", join(options));
}

function parse(given: Given, endpoint: string | undefined): ParsedConfig {
  const file = given.get("config");
  let parsed: ParsedConfig;
  if (file === undefined) parsed = parseFlags({ join: fromFlags(given, endpoint), flagOf: FLAG_OF });
  else {
    rejectMixedFlags(given, JOIN_FLAGS);
    parsed = parseConfig(readConfigFile(file), file, "join");
    const node = nodeFlags(given);
    if (parsed.join && Object.keys(node).length > 0) {
      parsed.join.nodeRegistration = { ...parsed.join.nodeRegistration, ...node };
      parsed.problems.push(...parseFlags({ join: parsed.join, flagOf: FLAG_OF }).problems);
    }
  }
  const { join } = parsed;
  if (join) Object.assign(join, patchesFlag(given));
  return parsed;
}

/** Paths of a JoinConfiguration and the flags they come from. */
const FLAG_OF: Record<string, string> = {
  "nodeRegistration.name": "--node-name",
  "nodeRegistration.criSocket": "--cri-socket",
  "discovery.bootstrapToken": "join",
  "discovery.bootstrapToken.token": "--token",
  "discovery.bootstrapToken.apiServerEndpoint": "the address (join HOST:PORT)",
  "discovery.bootstrapToken.caCertHashes": "--discovery-token-ca-cert-hash",
  "discovery.tlsBootstrapToken": "--tls-bootstrap-token",
  "controlPlane.certificateKey": "--certificate-key",
  "controlPlane.localAPIEndpoint.advertiseAddress": "--apiserver-advertise-address",
};

function fromFlags(given: Given, endpoint: string | undefined): JoinConfiguration {
  const token = given.get("discovery-token") ?? given.get("token");
  const tls = given.get("tls-bootstrap-token") ?? given.get("token");
  const [address, port, key] = ["apiserver-advertise-address", "apiserver-bind-port", "certificate-key"].map((name) =>
    given.get(name),
  );
  const controlPlane = given.get("control-plane") === "true";
  if (!controlPlane && (address ?? port ?? key) !== undefined)
    throw new UsageError(
      "--apiserver-advertise-address, --apiserver-bind-port and --certificate-key belong to --control-plane",
      "add --control-plane, or leave them out",
    );
  const localAPIEndpoint = {
    ...(address === undefined ? {} : { advertiseAddress: address }),
    ...(port === undefined ? {} : { bindPort: bindPort(port) }),
  };
  const file = given.get("discovery-file");
  const byToken = file === undefined || given.has("discovery-token") || endpoint !== undefined;
  return {
    ...(controlPlane
      ? { controlPlane: { localAPIEndpoint, ...(key === undefined ? {} : { certificateKey: key }) } }
      : {}),
    nodeRegistration: nodeFlags(given),
    discovery: {
      ...(file === undefined ? {} : { file: { kubeConfigPath: file } }),
      ...(byToken ? { bootstrapToken: tokenDiscovery(given, token, endpoint) } : {}),
      ...(tls === undefined ? {} : { tlsBootstrapToken: tls }),
    },
  };
}

function tokenDiscovery(given: Given, token: string | undefined, endpoint: string | undefined) {
  return {
    ...(token === undefined ? {} : { token }),
    ...(endpoint === undefined ? {} : { apiServerEndpoint: endpoint }),
    caCertHashes: listValue(given, "discovery-token-ca-cert-hash"),
    unsafeSkipCAVerification: given.get("discovery-token-unsafe-skip-ca-verification") === "true",
  };
}
