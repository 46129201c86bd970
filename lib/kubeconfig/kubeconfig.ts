import { X509Certificate } from "node:crypto";
import { parse, stringify } from "yaml";
import { KubestickError, reason } from "../host/errors.ts";

/** The parts of a kubeconfig that decide how a client connects. */
export interface Connection {
  server: string;
  /** PEM of the cluster's CA. */
  ca: string;
  tlsServerName?: string;
  clientCertificate?: string;
  clientKey?: string;
  token?: string;
}

/** Client credentials of a kubeconfig: PEM held in it, paths of files, or a token. */
export type Credentials =
  | { certificate: string; key: string }
  | { certificateFile: string; keyFile: string }
  | { token: string };

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** A kubeconfig with one cluster, user and context, as kubeadm writes it (kubeadm kubeconfig.go); a plain object. */
export function kubeconfig(
  cluster: string,
  user: string,
  server: string,
  ca: string,
  credentials: Credentials,
): object {
  const context = `${user}@${cluster}`;
  return {
    apiVersion: "v1",
    clusters: [{ cluster: { "certificate-authority-data": base64(ca), server }, name: cluster }],
    contexts: [{ context: { cluster, user }, name: context }],
    "current-context": context,
    kind: "Config",
    users: [{ name: user, user: userOf(credentials) }],
  };
}

function userOf(credentials: Credentials): Record<string, string> {
  if ("token" in credentials) return { token: credentials.token };
  if ("certificateFile" in credentials) {
    return { "client-certificate": credentials.certificateFile, "client-key": credentials.keyFile };
  }
  return {
    "client-certificate-data": base64(credentials.certificate),
    "client-key-data": base64(credentials.key),
  };
}

/** YAML as Kubernetes' tools write it: no line folding, keys as given. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false });
}

/** A kubeconfig's text with another server in each of its clusters. Throws KubestickError when it is no kubeconfig. */
export function withServer(text: string, server: string): string {
  const config = parse(text, { maxAliasCount: 0 }) as RawKubeconfig;
  for (const { cluster } of config.clusters ?? []) if (cluster) cluster["server"] = server;
  return toYaml(config);
}

interface RawKubeconfig {
  clusters?: { name?: string; cluster?: Record<string, string> }[];
  contexts?: { name?: string; context?: { cluster?: string; user?: string } }[];
  users?: { name?: string; user?: Record<string, string> }[];
  "current-context"?: string;
}

/**
 * The connection of a kubeconfig's current context. `readFile` reads the files it names. Throws KubestickError that
 * names the file and what is missing, never any of its contents.
 */
export function readKubeconfig(text: string, path: string, readFile: (path: string) => string | undefined): Connection {
  let config: RawKubeconfig;
  try {
    config = (parse(text, { maxAliasCount: 0 }) ?? {}) as RawKubeconfig;
  } catch (error) {
    throw new KubestickError(`${path} is not YAML: ${reason(error).split("\n")[0]}`);
  }
  const fail = (what: string): never => {
    throw new KubestickError(`${path} is not a usable kubeconfig: ${what}`, {
      hint: `make it again: mv ${path} ${path}.old, then kubestick init phase kubeconfig all`,
    });
  };
  if (typeof config !== "object" || !Array.isArray(config.clusters)) fail("it has no clusters");
  const current = config["current-context"];
  const context = config.contexts?.find((c) => c?.name === current)?.context;
  // cluster-info has no context at all; a wrong one must not lead to another cluster than was meant.
  if (current && !context) fail(`its current context ${JSON.stringify(current)} is none of its contexts`);
  const cluster = context
    ? config.clusters?.find((c) => c?.name === context.cluster)?.cluster
    : config.clusters?.[0]?.cluster;
  const user = config.users?.find((u) => u?.name === context?.user)?.user ?? {};
  if (typeof cluster?.["server"] !== "string") return fail("its current context names no cluster with a server");
  const pem = (owner: Record<string, string>, field: string): string | undefined => {
    const inline = owner[`${field}-data`];
    if (inline !== undefined) return Buffer.from(String(inline), "base64").toString("utf8");
    const file = owner[field];
    if (file === undefined) return undefined;
    return readFile(String(file)) ?? fail(`the file ${file} that it names is not there`);
  };
  const ca = pem(cluster, "certificate-authority") ?? fail("it has no certificate authority");
  try {
    new X509Certificate(ca);
  } catch {
    fail("its certificate authority is not a certificate in PEM");
  }
  return {
    server: cluster["server"],
    ca,
    tlsServerName: cluster["tls-server-name"],
    clientCertificate: pem(user, "client-certificate"),
    clientKey: pem(user, "client-key"),
    token: user["token"],
  };
}
