import type { Plain } from "../yaml/plain.ts";
import { sortedYaml } from "../yaml/write.ts";
import { withZeros } from "./fill.ts";
import type { Kind } from "./kind.ts";

/**
 * A document of a kind as Go's serializer has it: with `apiVersion` and `kind` where its values do not say them, and with
 * every field that is written even when it is not set.
 */
export function toDocument({ apiVersion, kind, schema }: Pick<Kind, "apiVersion" | "kind" | "schema">, values: object) {
  return withZeros({ apiVersion, kind, ...values }, schema) as Plain;
}

/** The text of documents, as they lie in files and ConfigMaps: keys in the order of their names, `---` between documents. */
export function documentText(...documents: Plain[]): string {
  return documents.map(sortedYaml).join("---\n");
}
