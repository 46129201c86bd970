import { isMap, isScalar, parseAllDocuments, visit } from "yaml";
import { KubestickError } from "../host/errors.ts";
import { parseReference } from "./reference.ts";

/** More than any network provider's manifest needs. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The images that Kubernetes manifests name: each `image:` in them, normalized, once, sorted. Throws KubestickError when
 * the text is no YAML of objects.
 */
export function manifestImages(text: string, file: string): string[] {
  if (text.length > MAX_BYTES) throw new KubestickError(`${file} is too large for a manifest`);
  const found = new Set<string>();
  const documents = parseAllDocuments(text, { uniqueKeys: true, prettyErrors: false });
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error)
      throw new KubestickError(`${file} is no YAML: ${error.message}`, {
        hint: "give a file that kubectl apply -f takes",
      });
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) continue;
    if (!isMap(document.contents) || !document.has("kind"))
      throw new KubestickError(`${file} holds something that is no Kubernetes object`, {
        hint: "give a file that kubectl apply -f takes",
      });
    visit(document, {
      Pair(_, pair) {
        if (
          isScalar(pair.key) &&
          pair.key.value === "image" &&
          isScalar(pair.value) &&
          typeof pair.value.value === "string"
        )
          found.add(parseReference(pair.value.value).name);
      },
    });
  }
  return [...found].sort();
}
