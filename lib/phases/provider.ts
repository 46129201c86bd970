import type { Bundle } from "../bundle/bundle.ts";
import { userYamlObjects } from "../bundle/user-yaml.ts";
import { KubestickError, UsageError } from "../errors.ts";
import { readJsonBlob } from "../oci/store.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";

/** What others of a manifest need to be there: their namespaces, and the definitions of their kinds. */
const FIRST = ["Namespace", "CustomResourceDefinition"];

/** Applies a provider's objects, several at a time, those first that others need. */
export async function applyProvider(apply: (objects: object[]) => Promise<void>, objects: Plain[]): Promise<void> {
  for (const kind of FIRST) await apply(objects.filter((object) => object["kind"] === kind));
  await apply(objects.filter((object) => !FIRST.includes(String(object["kind"]))));
}

/** The objects of a network provider's manifest: a file, or one that the bundle carries. Throws UsageError for neither. */
export function providerObjects(name: string, text: string | undefined, bundle: Bundle | undefined): Plain[] {
  const carried = bundle?.userYaml.find((m) => m.title === name);
  const source = text ?? (carried && bundle ? readJsonBlob(bundle.store, carried.blob).toString("utf8") : undefined);
  if (source === undefined)
    throw new UsageError(
      `--network ${name}: there is no such file, and the bundle carries no manifest of that name`,
      "give flat, none, or a file of Kubernetes manifests",
    );
  const objects = userYamlObjects(source, name);
  for (const { apiVersion, kind, metadata } of objects) {
    const named = isPlain(metadata) && typeof metadata["name"] === "string" && metadata["name"] !== "";
    if (typeof apiVersion !== "string" || !named)
      throw new KubestickError(
        `${name} holds a ${kind} that is no Kubernetes object: it needs apiVersion and metadata.name`,
      );
  }
  return objects;
}
