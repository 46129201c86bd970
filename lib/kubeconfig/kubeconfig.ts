import { X509Certificate } from "node:crypto";
import { KubestickError } from "../host/errors.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { readYaml, YamlError } from "../yaml/read.ts";
import { writeYaml } from "../yaml/write.ts";

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

/** A kubeconfig's text with another server in each of its clusters. Throws KubestickError when it is no kubeconfig. */
export function withServer(text: string, server: string): string {
  const config = parse(text, "the kubeconfig");
  for (const { cluster } of named(config, "clusters")) if (isPlain(cluster)) cluster["server"] = server;
  return writeYaml(config);
}

function parse(text: string, path: string): Plain {
  try {
    const config = readYaml(text) ?? {};
    if (isPlain(config)) return config;
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new KubestickError(`${path}:${error.line} is not YAML: ${error.message}`);
  }
  throw new KubestickError(`${path} is not a kubeconfig: it holds no mapping`);
}

/** The entries of one of a kubeconfig's lists, what is none of them left out. */
function named(config: Plain, list: "clusters" | "contexts" | "users"): Plain[] {
  const entries = config[list];
  return Array.isArray(entries) ? entries.filter(isPlain) : [];
}

/**
 * The connection of a kubeconfig's current context. `readFile` reads the files it names. Throws KubestickError that
 * names the file and what is missing, never any of its contents.
 */
export function readKubeconfig(text: string, path: string, readFile: (path: string) => string | undefined): Connection {
  const config = parse(text, path);
  const fail = (what: string): never => {
    throw new KubestickError(`${path} is not a usable kubeconfig: ${what}`, {
      hint: `make it again: mv ${path} ${path}.old, then kubestick init phase kubeconfig all`,
    });
  };
  const find = (list: "clusters" | "contexts" | "users", field: string, name: unknown): Plain | undefined => {
    const value = named(config, list).find((entry) => entry["name"] === name)?.[field];
    return isPlain(value) ? value : undefined;
  };
  /** An empty text is no text, as to client-go. */
  const textOf = (owner: Plain, field: string): string | undefined => {
    const value = owner[field];
    if (value === undefined || value === null || value === "") return undefined;
    return typeof value === "string" ? value : fail(`its ${field} is not a string; put quotes around it`);
  };
  if (!Array.isArray(config["clusters"])) fail("it has no clusters");
  const context = find("contexts", "context", config["current-context"]);
  const first = named(config, "clusters")[0]?.["cluster"];
  const cluster = context ? find("clusters", "cluster", context["cluster"]) : isPlain(first) ? first : undefined;
  const user = find("users", "user", context?.["user"]) ?? {};
  const server = cluster && textOf(cluster, "server");
  if (!cluster || server === undefined) return fail("its current context names no cluster with a server");
  const pem = (owner: Plain, field: string): string | undefined => {
    const inline = textOf(owner, `${field}-data`);
    if (inline !== undefined) return Buffer.from(inline, "base64").toString("utf8");
    const file = textOf(owner, field);
    return file && (readFile(file) ?? fail(`the file ${file} that it names is not there`));
  };
  const ca = pem(cluster, "certificate-authority") ?? fail("it has no certificate authority");
  try {
    new X509Certificate(ca);
  } catch {
    fail("its certificate authority is not a certificate in PEM");
  }
  return {
    server,
    ca,
    tlsServerName: textOf(cluster, "tls-server-name"),
    clientCertificate: pem(user, "client-certificate"),
    clientKey: pem(user, "client-key"),
    token: textOf(user, "token"),
  };
}
