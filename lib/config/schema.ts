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

const DURATION = /^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|[µμ]s|ms|s|m|h))+)$/;
/** Go counts a duration in nanoseconds of 64 bits. */
const LONGEST_MS = 2 ** 63 / 1e6;
/** More characters than any duration needs. */
const LONGEST_TEXT = 100;

/** A Go duration (time.ParseDuration), such as 1h30m. */
export const duration = checked((v) => {
  if (v.length > LONGEST_TEXT || !DURATION.test(v))
    return "must be a duration such as 30s, 4m0s or 8760h; a unit is needed (ns, us, ms, s, m, h)";
  return Math.abs(milliseconds(v)) < LONGEST_MS
    ? undefined
    : "is longer than a duration can be (2562047h, some 292 years)";
});

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration. Throws RangeError when the text is not one, or longer than one can be. */
export function parseDuration(text: string): number {
  const total = text.length <= LONGEST_TEXT && DURATION.test(text) ? milliseconds(text) : Number.NaN;
  if (!(Math.abs(total) < LONGEST_MS)) throw new RangeError(`not a duration: ${text}`);
  return total;
}

function milliseconds(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|[µμ]s|ms|s|m|h)/g)) {
    total += Number(amount) * UNIT_MS[unit!]!;
  }
  return text.startsWith("-") ? -total : total;
}

const TIME = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d([.,]\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** A moment (RFC 3339, as metav1.Time reads it), with a day that the calendar has. */
export const time = checked((v) => {
  const [, day] = TIME.exec(v) ?? [];
  if (day === undefined) return "must be a time such as 2026-12-31T12:00:00Z";
  const date = new Date(day);
  // JavaScript takes 30 February for 2 March, and may leave the year 9999 for another time zone's sake.
  const there = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day) && /^\d{4}-/.test(toTime(v));
  return there ? undefined : "is a day that the calendar does not have";
});

/** A moment in UTC, to the second, as Kubernetes writes it: 2026-12-31T12:00:00Z. Takes what `time` accepts. */
export function toTime(text: string | Date): string {
  const date = typeof text === "string" ? new Date(text.replace(",", ".")) : text;
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** A Go duration as Go prints it (time.Duration.String), from milliseconds: 87600h0m0s, 4m0s, 1.5s, 0s. */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? "-" : "";
  const total = Math.abs(ms);
  if (total === 0) return "0s";
  if (total < 1000) return `${sign}${Number(total.toFixed(6))}ms`;
  const seconds = Number(((total % 60_000) / 1000).toFixed(9));
  const minutes = Math.floor(total / 60_000) % 60;
  const hours = Math.floor(total / 3_600_000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

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
