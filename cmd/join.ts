import type { JoinConfiguration } from "../lib/config/kinds/join.ts";
import { type ParsedConfig, parseConfig, parseFlags } from "../lib/config/load.ts";
import { UsageError } from "../lib/errors.ts";
import { type JoinOptions, join } from "../lib/index.ts";
import { JOIN_PHASES } from "../lib/phases/join/join.ts";
import { listValue } from "./args/common.ts";
import { JOIN_ARGS } from "./args/join.ts";
import { command, type Given } from "./command.ts";
import { nodeFlags, nodeSetup, patchesFlag, readConfigFile, rejectMixedFlags } from "./flags.ts";
import { bindPort } from "./init-flags.ts";
import type { Output } from "./output.ts";
import { phasesOf } from "./phase.ts";

export default command({
  name: "join",
  description: "Join this host to a cluster, as a worker or a control plane",
  kubeadm: true,
  args: JOIN_ARGS,
  examples: [
    ["Where the control plane is: prints the command for this host", "kubestick token create --print-join-command"],
    [
      "A worker",
      "kubestick join 192.168.1.10:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:HEX",
    ],
    [
      "Another control plane; init --upload-certs prints the whole command",
      "kubestick join api.lan:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:HEX --control-plane --certificate-key KEY",
    ],
    ["By a kubeconfig of the cluster", "kubestick join --discovery-file cluster.conf --tls-bootstrap-token TOKEN"],
  ],
  phases: phasesOf(JOIN_PHASES),
  topics: ["join-security", "high-availability", "troubleshooting"],
  subCommands: { phase: () => import("./join/phase.ts").then((file) => file.default) },
  run: ({ args, given, out }) => runJoin(given, args.endpoint, [], out),
});

/** Runs `kubestick join [host:port]`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runJoin(given: Given, endpoint: string | undefined, words: string[], out: Output): Promise<void> {
  requireCluster(given, endpoint);
  const options: JoinOptions = {
    ...nodeSetup(given),
    ui: out.ui,
    phase: words,
    config: parse(given, endpoint),
    dryRun: given.get("dry-run") === "true",
    syncTime: given.get("sync-time") === "true",
    skipPhases: listValue(given, "skip-phases"),
  };
  await out.reportOn(join(options));
}

/** Whoever leaves out what tells of the cluster mostly lacks the command itself. Throws UsageError that says where to get it. */
function requireCluster(given: Given, endpoint: string | undefined): void {
  const has = (...names: string[]) => names.some((name) => given.has(name));
  // A file tells of the cluster by itself, and may hold credentials.
  if (has("config", "discovery-file")) return;
  const missing = [
    ...(endpoint === undefined ? ["its address (HOST:PORT)"] : []),
    ...(has("token", "discovery-token") ? [] : ["a token (--token)"]),
    ...(has("discovery-token-ca-cert-hash", "discovery-token-unsafe-skip-ca-verification")
      ? []
      : ["the hash of its CA (--discovery-token-ca-cert-hash)"]),
  ];
  // A hash alone that is missing has two remedies, which the configuration's own check names.
  if (endpoint !== undefined && has("token", "discovery-token")) return;
  throw new UsageError(
    `which cluster? join lacks ${missing.join(", ").replace(/, ([^,]*)$/, " and $1")}`,
    "run this on a control plane; it prints the whole command to run here: kubestick token create --print-join-command",
  );
}

function parse(given: Given, endpoint: string | undefined): ParsedConfig {
  const file = given.get("config");
  let parsed: ParsedConfig;
  if (file === undefined) parsed = parseFlags({ join: fromFlags(given, endpoint), flagOf: FLAG_OF });
  else {
    rejectMixedFlags(given, JOIN_ARGS);
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
