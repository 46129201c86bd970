import type { ApiClient } from "../api/client.ts";
import type { Cluster } from "../api/cluster.ts";
import { textsOf } from "../api/fields.ts";
import { role, roleBinding } from "../api/rbac.ts";
import { type KubeObject, objectPath } from "../api/resources.ts";
import type { BootstrapToken } from "../config/kinds/init.ts";
import {
  CM_CLUSTER_INFO,
  NAMESPACE_PUBLIC,
  NAMESPACE_SYSTEM,
  SECRET_TOKEN_PREFIX,
  SECRET_TOKEN_TYPE,
  USER_BOOTSTRAP_PREFIX,
} from "../constants/names.ts";
import { TOKEN_PATTERN, TOKEN_USAGES } from "../constants/tokens.ts";
import { KubestickError } from "../errors.ts";
import { clusterInfo } from "./cluster-info.ts";
import { expirationOf, secretField, signingToken, tokenSecret } from "./token.ts";

/** A bootstrap token as it stands in the cluster. `expires` is undefined for one that never does, and an invalid date where nobody can tell. */
export interface ListedToken {
  token: string;
  expires: Date | undefined;
  usages: string[];
  groups: string[];
  description: string;
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

/** The kubeconfig that cluster-info shows. Throws KubestickError when the cluster has none. */
export async function publishedKubeconfig(cluster: Pick<Cluster, "get">): Promise<string> {
  const info = await cluster.get("v1", "ConfigMap", CM_CLUSTER_INFO, NAMESPACE_PUBLIC);
  const text = textsOf(info?.["data"])["kubeconfig"];
  if (text) return text;
  throw new KubestickError(
    `the ConfigMap ${NAMESPACE_PUBLIC}/${CM_CLUSTER_INFO} is not there, so no node can find this cluster`,
    {
      hint: "make it: kubestick init phase bootstrap-token",
    },
  );
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
