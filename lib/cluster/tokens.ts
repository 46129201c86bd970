import { randomInt } from "node:crypto";
import type { ApiClient } from "../api/client.ts";
import type { Cluster } from "../api/cluster.ts";
import { textsOf } from "../api/fields.ts";
import { role, roleBinding } from "../api/rbac.ts";
import { type KubeObject, objectPath } from "../api/resources.ts";
import type { BootstrapToken } from "../config/kinds/init.ts";
import { NAMESPACE_SYSTEM, SECRET_TOKEN_PREFIX, SECRET_TOKEN_TYPE, USER_BOOTSTRAP_PREFIX } from "../constants/names.ts";
import { TOKEN_PATTERN, TOKEN_USAGES } from "../constants/tokens.ts";
import { KubestickError } from "../errors.ts";
import { parseDuration } from "../util/duration.ts";
import { toTime } from "../util/time.ts";
import { clusterInfo, publishedKubeconfig, type TokenParts } from "./info.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** A new random bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`. */
export function newToken(): string {
  const characters = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
  return `${characters(6)}.${characters(16)}`;
}

/** A token's id and secret. Throws RangeError on another shape, without repeating the text. */
export function splitToken(token: string): TokenParts {
  const match = TOKEN_PATTERN.exec(token);
  if (!match) throw new RangeError("not a bootstrap token: it must look like abcdef.0123456789abcdef");
  return { id: match[1]!, secret: match[2]! };
}

/** A bootstrap token as it stands in the cluster. `expires` is undefined for one that never does, and an invalid date where nobody can tell. */
export interface ListedToken {
  token: string;
  expires: Date | undefined;
  usages: string[];
  groups: string[];
  description: string;
}

/** The Secret that makes a token work, in kube-system (kubeadm apis/bootstraptoken/v1 utils.go). */
export function tokenSecret(token: BootstrapToken, now: Date): Record<string, unknown> {
  const { id, secret } = splitToken(token.token);
  const ttl = token.ttl === undefined ? 0 : parseDuration(token.ttl);
  const expires = token.expires ?? (ttl > 0 ? new Date(now.getTime() + ttl) : undefined);
  const data: Record<string, string> = {
    ...(token.groups.length > 0 ? { "auth-extra-groups": token.groups.join(",") } : {}),
    ...(token.description ? { description: token.description } : {}),
    ...(expires ? { expiration: toTime(expires) } : {}),
    "token-id": id,
    "token-secret": secret,
  };
  for (const usage of token.usages) data[`usage-bootstrap-${usage}`] = "true";
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${SECRET_TOKEN_PREFIX}${id}`, namespace: NAMESPACE_SYSTEM },
    type: SECRET_TOKEN_TYPE,
    data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
  };
}

/** How to read a Secret's fields as text; one that is not there, or is no text, is empty. */
export function secretField(secret: { data?: unknown }): (name: string) => string {
  const data = textsOf(secret.data);
  return (name) => Buffer.from(data[name] ?? "", "base64").toString("utf8");
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** When a token expires (RFC 3339): undefined for never, an invalid date where the text is none, which counts as passed. */
export function expirationOf(text: string): Date | undefined {
  if (text === "") return undefined;
  return RFC3339.test(text) ? new Date(text) : new Date(Number.NaN);
}

/** The id and secret of a token's Secret when it may sign cluster-info now (usage set, not expired); else undefined. */
export function signingToken(secret: { type?: unknown; data?: unknown }, now: Date): TokenParts | undefined {
  const field = secretField(secret);
  if (secret.type !== SECRET_TOKEN_TYPE || field("usage-bootstrap-signing") !== "true") return undefined;
  const expires = expirationOf(field("expiration"));
  // A date that cannot be read counts as passed, as the API server's own authenticator has it.
  if (expires && !(expires > now)) return undefined;
  const token = `${field("token-id")}.${field("token-secret")}`;
  return TOKEN_PATTERN.test(token) ? splitToken(token) : undefined;
}

type TokenSecret = { metadata: { name: string }; type?: unknown; data?: unknown };

async function tokenSecrets(cluster: Pick<Cluster, "list">): Promise<TokenSecret[]> {
  const query = { fieldSelector: `type=${SECRET_TOKEN_TYPE}` };
  const { items } = await cluster.list<TokenSecret>("v1", "Secret", { namespace: NAMESPACE_SYSTEM, query });
  return items;
}

/** Every bootstrap token of a cluster, in order of their ids. Secrets that hold none are left out, as kubeadm does. */
export async function listTokens(cluster: Pick<Cluster, "list">): Promise<ListedToken[]> {
  const tokens: ListedToken[] = [];
  for (const secret of await tokenSecrets(cluster)) {
    const field = secretField(secret);
    const token = `${field("token-id")}.${field("token-secret")}`;
    if (!TOKEN_PATTERN.test(token)) continue;
    tokens.push({
      token,
      expires: expirationOf(field("expiration")),
      usages: TOKEN_USAGES.filter((usage) => field(`usage-bootstrap-${usage}`) === "true"),
      groups: field("auth-extra-groups").split(",").filter(Boolean),
      description: field("description"),
    });
  }
  return tokens.sort((a, b) => (a.token < b.token ? -1 : 1));
}

/** Signs cluster-info with every token that may sign now, so that nobody has to wait for a controller to do it. */
export async function signClusterInfo(
  cluster: Pick<Cluster, "list" | "apply">,
  kubeconfig: string,
  now: Date,
): Promise<void> {
  const signing = (await tokenSecrets(cluster))
    .map((secret) => signingToken(secret, now))
    .filter((t) => t !== undefined);
  await cluster.apply(clusterInfo(kubeconfig, signing) as KubeObject);
}

/**
 * Makes a token that works at once: for authentication, and for the signature of cluster-info. One for a single node may
 * delete itself, which `join` does once the node is registered. Throws when its id is taken.
 */
export async function createToken(
  client: ApiClient,
  token: BootstrapToken,
  now: Date,
  options: { singleUse?: boolean } = {},
): Promise<void> {
  const secret = tokenSecret(token, now) as KubeObject;
  const { name, namespace } = secret.metadata;
  if (await client.get("v1", "Secret", name, namespace)) {
    const id = name.slice(SECRET_TOKEN_PREFIX.length);
    throw new KubestickError(`there is already a token with the id ${id}`, {
      code: "foreign",
      hint: `delete it first: kubestick token delete ${id}`,
    });
  }
  const kubeconfig = await publishedKubeconfig(client);
  const made = await client.createIfAbsent(secret);
  if (options.singleUse) for (const object of selfRemoval(made)) await client.createIfAbsent(object as KubeObject);
  await signClusterInfo(client, kubeconfig, now);
}

/** The right of a token's user to delete that token's Secret, which goes with the Secret. */
function selfRemoval(secret: KubeObject): object[] {
  const { name, uid } = secret.metadata as { name: string; uid?: unknown };
  const id = name.slice(SECRET_TOKEN_PREFIX.length);
  const own = { apiVersion: "v1", kind: "Secret", name, uid: String(uid ?? "") };
  const roleName = `kubestick:single-use-${id}`;
  return [
    role(NAMESPACE_SYSTEM, roleName, [
      { apiGroups: [""], resources: ["secrets"], resourceNames: [name], verbs: ["delete"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, roleName, roleName, [{ kind: "User", name: `${USER_BOOTSTRAP_PREFIX}${id}` }]),
  ].map((object) => {
    const { metadata, ...rest } = object as { metadata: object };
    return { ...rest, metadata: { ...metadata, ownerReferences: [own] } };
  });
}

/** Deletes the token that a client itself uses, where it may: one for a single node. Gives whether it is gone. */
export async function useUpToken(client: ApiClient, id: string): Promise<boolean> {
  const path = objectPath("v1", "Secret", `${SECRET_TOKEN_PREFIX}${id}`, NAMESPACE_SYSTEM);
  return (await client.callIfAllowed("DELETE", path)) !== undefined;
}

/** Removes a token by its id, and its signature. Returns false when there was none. */
export async function deleteToken(client: ApiClient, id: string, now: Date): Promise<boolean> {
  const removed = await client.delete("v1", "Secret", `${SECRET_TOKEN_PREFIX}${id}`, NAMESPACE_SYSTEM);
  if (removed) await signClusterInfo(client, await publishedKubeconfig(client), now);
  return removed;
}
