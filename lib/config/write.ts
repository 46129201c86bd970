import { define, own, type Plain } from "../yaml/plain.ts";
import { sortedYaml } from "../yaml/write.ts";
import type { Kind } from "./kind.ts";
import type { Schema } from "./schema.ts";

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

/** The value with every field that Go would write even when it is not set, keys in order (sigs.k8s.io/yaml). */
function withZeros(value: unknown, schema: Schema): unknown {
  if (schema.kind === "list" && Array.isArray(value)) return value.map((item) => withZeros(item, schema.of));
  if (schema.kind !== "object" || value === null || typeof value !== "object") return value;
  const given = value as Plain;
  const out: Plain = {};
  const keys = new Set([...Object.keys(schema.fields), ...Object.keys(given)]);
  for (const key of [...keys].sort()) {
    const field = own(schema.fields, key);
    const set = own(given, key);
    if (set !== undefined && set !== null) define(out, key, field ? withZeros(set, field) : set);
    else if (field?.zero !== undefined) define(out, key, withZeros(field.zero, field));
  }
  return out;
}
