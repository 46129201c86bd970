import { DEFAULT_CRI_SOCKET } from "../../constants/paths.ts";
import { API_SERVER_PORT } from "../../constants/ports.ts";
import * as s from "../schema.ts";

// Fields that several of kubeadm's documents share (kubeadm v1beta4 and v1beta3 types.go).

/** The version of kubeadm's documents that is written. */
export const V1BETA4 = "kubeadm.k8s.io/v1beta4";
/** The version before, which is read only. */
export const V1BETA3 = "kubeadm.k8s.io/v1beta3";

/** What kubeadm fills in where it is empty; a string that can be empty and mean it is `s.string`. */
export const text = s.optional(s.string);
/** Any number of strings. */
export const strings = s.list(s.string);

const arg = s.object({ name: s.string, value: s.string }, ["name"]);
/** A flag of a component; a flag may be given more than once. */
export type Arg = s.Infer<typeof arg>;
/** A component's flags, in their order. */
export const args = s.list(arg);

/** v1beta3's flags: a map, so that each is there once. */
export const argMap = s.map(s.string);

/** The object with a v1beta3 field of flags as v1beta4 has it, in the order of their names. */
export function withArgList<T extends object, F extends keyof T>(owner: T | undefined, field: F) {
  const flags = owner?.[field] as Record<string, string> | undefined;
  if (!flags) return owner;
  const names = Object.keys(flags).sort();
  return { ...owner, [field]: names.map((name): Arg => ({ name, value: flags[name]! })) };
}

const env = s.object({ name: s.string, value: s.string, valueFrom: s.any }, ["name"]);
/** An environment variable of a container (k8s.io/api/core/v1 EnvVar). */
export type EnvVar = s.Infer<typeof env>;
/** A container's variables. */
export const envs = s.list(env);

const taint = s.object(
  {
    key: s.string,
    value: s.string,
    effect: s.oneOf<string>("NoSchedule", "PreferNoSchedule", "NoExecute"),
    timeAdded: s.time,
  },
  ["key", "effect"],
);
/** A node's taint (k8s.io/api/core/v1 Taint). */
export type Taint = s.Infer<typeof taint>;

/** What both versions have of a node's registration. */
const registration = {
  name: s.filled(text),
  criSocket: s.filled(text, DEFAULT_CRI_SOCKET),
  /** Undefined means kubeadm's default for the role; an empty list means none. */
  taints: s.list(taint),
  ignorePreflightErrors: strings,
  imagePullPolicy: s.filled(s.optional(s.oneOf<string>("Always", "IfNotPresent", "Never")), "IfNotPresent"),
};
/** How a node joins its cluster. */
export const nodeRegistration = s.object({ ...registration, kubeletExtraArgs: args, imagePullSerial: s.bool });
/** How a node joins its cluster: its name, its runtime, its taints and its kubelet's flags. */
export type NodeRegistration = s.Infer<typeof nodeRegistration>;

/** How a node joins its cluster in v1beta3. */
export const nodeRegistrationV1beta3 = s.object({ ...registration, kubeletExtraArgs: argMap });

/** The port of a node's own API server. */
export const bindPort = s.filled(s.optional(s.intBetween(1, 65535)), API_SERVER_PORT);
/** Where a node's own API server is reached. */
export const localAPIEndpoint = s.object({ advertiseAddress: s.filled(text), bindPort });
/** Where a control plane node's own API server is reached. */
export type LocalApiEndpoint = s.Infer<typeof localAPIEndpoint>;

/** Where the user's patches are. */
export const patches = s.object({ directory: text });

/** How long to wait for what. */
export const timeouts = s.object({
  controlPlaneComponentHealthCheck: s.duration,
  kubeletHealthCheck: s.duration,
  kubernetesAPICall: s.duration,
  etcdAPICall: s.duration,
  tlsBootstrap: s.duration,
  discovery: s.duration,
  upgradeManifests: s.duration,
});
