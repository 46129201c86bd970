import { until } from "../util/until.ts";
import { groupPath, isKnownKind, type KubeObject, objectPath } from "./resources.ts";

const POLL_MS = 500;
/** How long a kind may take to appear: a CustomResourceDefinition that was just applied is served within seconds. */
const APPEARS_MS = 30_000;

/** What of a client it takes to find a path. */
interface Asker {
  callIfAllowed<T>(method: "GET", path: string): Promise<T | undefined>;
}

/** What an API group's version serves (meta/v1 APIResourceList), as far as paths need it. */
interface ResourceList {
  resources?: { name?: unknown; kind?: unknown; namespaced?: unknown }[];
}

/**
 * The path of an object of any kind, also of those that a provider's manifest brings: the API server is asked for the
 * plural. A namespaced object without a namespace is in `default`, as with kubectl. Throws KubestickError for a kind
 * that does not appear.
 */
export async function pathOf(client: Asker, object: KubeObject): Promise<string> {
  const { apiVersion, kind, metadata } = object;
  if (isKnownKind(kind)) return objectPath(apiVersion, kind, metadata.name, metadata.namespace ?? "default");
  const served = async () => {
    const list = await client.callIfAllowed<ResourceList>("GET", groupPath(apiVersion));
    const resources = Array.isArray(list?.resources) ? list.resources : [];
    return resources.find((r) => r?.kind === kind && typeof r.name === "string" && !r.name.includes("/"));
  };
  const { name, namespaced } = await until(served, {
    limitMs: APPEARS_MS,
    pauseMs: POLL_MS,
    what: `the cluster has no kind ${kind} in ${apiVersion}, so ${metadata.name} cannot be applied`,
    hint: "its CustomResourceDefinition belongs into the manifest, or into the cluster before it",
  });
  const within = namespaced === true ? `/namespaces/${encodeURIComponent(metadata.namespace ?? "default")}` : "";
  return `${groupPath(apiVersion)}${within}/${name}/${encodeURIComponent(metadata.name)}`;
}
