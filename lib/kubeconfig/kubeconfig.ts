import { dirname, resolve } from "node:path";
import { KUBERNETES_DIR } from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import { readPrivateKey } from "../pki/algorithms.ts";
import { certificatePem } from "../pki/certificate.ts";
import { readCertificates } from "../pki/pem.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { readYaml, YamlError } from "../yaml/read.ts";
import { writeYaml } from "../yaml/write.ts";

/** The parts of a kubeconfig that decide how a client connects. */
export interface Connection {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM of the CAs that the cluster's server may come from; each is trusted by itself, self-signed or not. */
  ca: string;
  tlsServerName?: string;
  clientCertificate?: string;
  clientKey?: string;
  token?: string;
}

/** Client credentials of a kubeconfig: PEM held in it, paths of files, or a token. */
export type KubeconfigCredentials =
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
  credentials: KubeconfigCredentials,
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

function userOf(credentials: KubeconfigCredentials): Record<string, string> {
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
export function withServer(text: string, server: string, path: string): string {
  const config = parse(text, path);
  for (const { cluster } of listOf(config["clusters"])) if (isPlain(cluster)) cluster["server"] = server;
  return writeYaml(config);
}

const listOf = (value: unknown): Plain[] => (Array.isArray(value) ? value.filter(isPlain) : []);

/** The part of the entry with a name in one of a kubeconfig's lists. */
function named(list: unknown, name: unknown, part: string): Plain | undefined {
  const value = listOf(list).find((entry) => (entry["name"] ?? "") === (name ?? ""))?.[part];
  return isPlain(value) ? value : undefined;
}

function parse(text: string, path: string): Plain {
  try {
    const config = readYaml(text);
    return isPlain(config) ? config : unusable(path, "it is no mapping");
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new KubestickError(`${path} is not YAML: line ${error.line}: ${error.message}`);
  }
}

function unusable(path: string, what: string): never {
  throw new KubestickError(`${path} is not a usable kubeconfig: ${what}`, {
    hint: path.startsWith(`${KUBERNETES_DIR}/`)
      ? `make it again: mv ${path} ${path}.old, then kubestick init phase kubeconfig all`
      : undefined,
  });
}

/** What a client can be told in a kubeconfig that this one does not do; left out, it would be somebody else, or less safe. */
const UNSUPPORTED: Record<string, string> = {
  "insecure-skip-tls-verify": "it says not to check the server's certificate, which kubestick always does",
  "proxy-url": "its cluster is reached through a proxy (proxy-url), and kubestick asks an API server directly",
  exec: "its user signs in with another program (exec), which kubestick does not run",
  "auth-provider": "its user signs in through a provider (auth-provider), which kubestick does not know",
  username: "its user signs in with a password, which Kubernetes has not taken since v1.19",
  as: "its user acts as another one (as), which kubestick does not do",
};

/**
 * The connection of a kubeconfig's current context, or where it has no contexts, as in cluster-info, to its one cluster.
 * `readFile` reads the files that it names, which are looked for beside it; one that gives an empty text is taken as not
 * there yet. Throws KubestickError that names the file and what is missing or wrong, never any of its contents.
 */
export function readKubeconfig(text: string, path: string, readFile: (path: string) => string | undefined): Connection {
  const config = parse(text, path);
  const fail = (what: string): never => unusable(path, what);
  if (listOf(config["clusters"]).length === 0) fail("it has no clusters");
  const current = config["current-context"] || undefined;
  const context = current === undefined ? undefined : named(config["contexts"], current, "context");
  // cluster-info has no context at all; a wrong one must not lead to another cluster than was meant.
  if (current !== undefined && !context)
    fail(`its current context ${JSON.stringify(current)} is not one of its contexts`);
  const cluster = context
    ? named(config["clusters"], context["cluster"], "cluster")
    : listOf(config["clusters"])[0]!["cluster"];
  if (!isPlain(cluster)) return fail("its current context names no cluster");
  const user = (context && named(config["users"], context["user"], "user")) ?? {};
  for (const [field, why] of Object.entries(UNSUPPORTED)) if (cluster[field] || user[field]) fail(why);

  const textOf = (owner: Plain, field: string): string | undefined => {
    const value = owner[field] ?? undefined;
    if (value !== undefined && typeof value !== "string") fail(`its ${field} is not a text`);
    return (value as string | undefined) || undefined;
  };
  const file = (name: string) =>
    readFile(resolve(dirname(path), name)) ?? fail(`the file ${name} that it names is not there`);
  const pem = (owner: Plain, field: string): string | undefined => {
    const inline = textOf(owner, `${field}-data`);
    const name = textOf(owner, field);
    if (inline === undefined) return name === undefined ? undefined : file(name);
    if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(inline)) fail(`its ${field}-data is not base64`);
    return Buffer.from(inline, "base64").toString("utf8");
  };
  const ca = pem(cluster, "certificate-authority") ?? fail("it has no certificate authority");
  const pair = {
    clientCertificate: pem(user, "client-certificate"),
    clientKey: pem(user, "client-key"),
  };
  checkPair(pair, path);
  const tokenFile = textOf(user, "tokenFile");
  const token = tokenFile === undefined ? textOf(user, "token") : file(tokenFile).trim();
  // What a header cannot hold would only fail where nobody could say why.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) fail("its token holds characters that no token has");
  return {
    server: serverOf(textOf(cluster, "server"), path),
    ca: readCertificates(ca, `the certificate authority of ${path}`).map(certificatePem).join(""),
    tlsServerName: textOf(cluster, "tls-server-name"),
    ...pair,
    token,
  };
}

/** A server's URL; one without a scheme is https, as client-go has it where there is a CA. */
function serverOf(text: string | undefined, path: string): string {
  if (text === undefined) return unusable(path, "its cluster has no server");
  const server = text.includes("://") ? text : `https://${text}`;
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (!url || url.hostname === "") return unusable(path, `its server ${JSON.stringify(text)} is not a URL`);
  if (url.protocol !== "https:")
    return unusable(
      path,
      `its server ${JSON.stringify(text)} is not reached over https, so anybody on the way could read and change everything`,
    );
  if (url.username || url.password || url.search || url.hash)
    return unusable(path, "its server is not https://HOST:PORT alone");
  return server.replace(/\/+$/, "");
}

/** A certificate and a key that do not belong together are found here, not in a handshake that says nothing. */
function checkPair(
  { clientCertificate, clientKey }: Pick<Connection, "clientCertificate" | "clientKey">,
  path: string,
) {
  if (!clientCertificate || !clientKey) {
    if (clientCertificate || clientKey) unusable(path, "it has a client certificate or a client key without the other");
    return;
  }
  const [certificate] = readCertificates(clientCertificate, `the client certificate of ${path}`);
  const key = readPrivateKey(Buffer.from(clientKey), `the client key of ${path}`);
  if (!certificate!.checkPrivateKey(key)) unusable(path, "its client key is not that of its client certificate");
}
