import { durationProblem } from "../util/duration.ts";
import { timeProblem } from "../util/time.ts";
import { define, own } from "../yaml/plain.ts";

/**
 * A small schema language: what a configuration document may hold. One schema serves strict validation (unknown and
 * ill-typed fields) and, for component configurations, the zero values that Kubernetes' own serializer writes out.
 */
export type Schema =
  | { kind: "string"; check?: Check; unset?: string; zero?: unknown }
  | { kind: "bool"; zero?: unknown }
  | { kind: "int"; min?: number; max?: number; unset?: number; zero?: unknown }
  | { kind: "number"; zero?: unknown }
  | { kind: "any"; zero?: unknown }
  | { kind: "list"; of: Schema; zero?: unknown }
  | { kind: "map"; of: Schema; zero?: unknown }
  | { kind: "object"; fields: Record<string, Schema>; required?: string[]; zero?: unknown };

/** Returns what is wrong with a string, with the fix; undefined when nothing is. */
export type Check = (value: string) => string | undefined;

export const any: Schema = { kind: "any" };
export const string: Schema = { kind: "string" };
export const bool: Schema = { kind: "bool" };
export const int: Schema = { kind: "int" };
export const number: Schema = { kind: "number" };

/** A string that `check` accepts. */
export const checked = (check: Check): Schema => ({ kind: "string", check });
/** A string out of a fixed set. */
export const oneOf = (...values: string[]): Schema =>
  checked((v) => (values.includes(v) ? undefined : `must be one of ${values.join(", ")}`));
/** A whole number within bounds, both included. */
export const intBetween = (min: number, max: number): Schema => ({ kind: "int", min, max });
/** A whole number of 64 bits in Go; here, one that a number can hold exactly. */
export const long: Schema = { kind: "int", min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
export const list = (of: Schema): Schema => ({ kind: "list", of });
export const map = (of: Schema): Schema => ({ kind: "map", of });
/** An object with exactly these fields; those in `required` must be there. */
export const object = (fields: Record<string, Schema>, required?: string[]): Schema => ({
  kind: "object",
  fields,
  required,
});
/** The same schema, written out with this value where the field is not set (a Go field without `omitempty`). */
export const zero = (schema: Schema, value: unknown): Schema => ({ ...schema, zero: value });

/** The same string or number, for which `""` or 0 means that nothing was given, as Go's defaulting has it. */
export const optional = (schema: Schema): Schema => {
  if (schema.kind === "string") return { ...schema, unset: "" };
  return schema.kind === "int" ? { ...schema, unset: 0 } : schema;
};

/** A Go duration (time.ParseDuration), such as 1h30m. */
export const duration = checked(durationProblem);

/** A moment (RFC 3339), with a day that the calendar has. */
export const time = checked(timeProblem);

/**
 * The value with every field that Go would write even when unset, keys sorted, as sigs.k8s.io/yaml prints a typed
 * component configuration.
 */
export function withZeros(value: unknown, schema: Schema): unknown {
  if (schema.kind === "list" && Array.isArray(value)) return value.map((item) => withZeros(item, schema.of));
  if (schema.kind !== "object" || value === null || typeof value !== "object") return value;
  const given = value as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  const keys = new Set([...Object.keys(schema.fields), ...Object.keys(given)]);
  for (const key of [...keys].sort()) {
    const field = own(schema.fields, key);
    const set = own(given, key);
    if (set !== undefined && set !== null) define(out, key, field ? withZeros(set, field) : set);
    else if (field?.zero !== undefined) define(out, key, withZeros(field.zero, field));
  }
  return out;
}
