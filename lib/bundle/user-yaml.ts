import { KubestickError } from "../errors.ts";
import { parseReference } from "../oci/reference.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { readYamlDocuments, YamlError } from "../yaml/read.ts";

/** More than any network provider's manifest needs; the largest have some two megabytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What the largest CustomResourceDefinitions come to (see yamlDocuments), twice. */
const MAX_LEXEMES = 200_000;

/**
 * The objects of a file of Kubernetes manifests, those of a `List` one by one. Throws KubestickError when the text is
 * no YAML, or holds something that is no object.
 */
export function userYamlObjects(text: string, file: string): Plain[] {
  const bad = (why: string) =>
    new KubestickError(`${file} ${why}`, { hint: "give a file that kubectl apply -f takes" });
  if (text.length > MAX_BYTES) throw bad("is too large for a manifest");
  const objects: Plain[] = [];
  const add = (value: unknown): void => {
    if (!isPlain(value) || typeof value["kind"] !== "string")
      throw bad("holds something that is no Kubernetes object: it has no kind");
    const { kind, items } = value;
    if (kind === "List" && Array.isArray(items)) for (const item of items) add(item);
    else objects.push(value);
  };
  try {
    for (const value of readYamlDocuments(text, MAX_LEXEMES)) add(value);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw bad(`is no YAML: line ${error.line}: ${error.message}`);
  }
  return objects;
}

/**
 * The images that Kubernetes manifests name: each `image:` in them, normalized, once, sorted. Throws KubestickError when
 * the text is no YAML of objects.
 */
export function userYamlImages(text: string, file: string): string[] {
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) look(item);
    else if (isPlain(value))
      for (const [key, item] of Object.entries(value)) {
        if (key === "image" && typeof item === "string") found.add(parseReference(item).name);
        else look(item);
      }
  };
  look(userYamlObjects(text, file));
  return [...found].sort();
}
