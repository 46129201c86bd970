import { define, isPlain, own, type Plain } from "../yaml/plain.ts";
import type { Given, Schema } from "./schema.ts";

/** A value with the defaults of its schema filled in where nothing was given. What stands in lists stays as it is. */
export function withDefaults<T>(given: Given<T>, schema: Schema<T>): T {
  return filledIn(given, { ...schema, filled: true }) as T;
}

function filledIn(given: unknown, schema: Schema): unknown {
  const nothing = given === undefined || ("unset" in schema && given === schema.unset);
  if (schema.kind !== "object") return nothing ? structuredClone(schema.default) : given;
  if (nothing && !schema.filled) return undefined;
  const out: Record<string, unknown> = { ...(given as object | undefined) };
  for (const [name, field] of Object.entries(schema.fields)) {
    const value = filledIn(own(out, name), field);
    if (value === undefined) delete out[name];
    else out[name] = value;
  }
  return out;
}

/** What was given, with what is not in it taken from an object that lies under it, field by field. */
export function mergeUnder(under: Plain, given: unknown): Plain {
  const out = { ...under };
  for (const [key, value] of Object.entries(given ?? {}))
    define(out, key, isPlain(value) ? mergeUnder((own(out, key) ?? {}) as Plain, value) : value);
  return out;
}
