/**
 * A small schema language: what a configuration document may hold. One schema serves strict validation (unknown and
 * ill-typed fields) and, for component configurations, the zero values that Kubernetes' own serializer writes out.
 */
export type Schema =
  | { kind: "string"; check?: Check; zero?: unknown }
  | { kind: "bool"; zero?: unknown }
  | { kind: "int"; min?: number; max?: number; zero?: unknown }
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

const DURATION = /^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+)$/;

/** A Go duration (time.ParseDuration), such as 1h30m. */
export const duration = checked((v) =>
  DURATION.test(v)
    ? undefined
    : "must be a duration such as 30s, 4m0s or 8760h; a unit is needed (ns, us, ms, s, m, h)",
);

const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration. Throws RangeError when the text is not one. */
export function parseDuration(text: string): number {
  if (!DURATION.test(text)) throw new RangeError(`not a duration: ${text}`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * UNIT_MS[unit!]!;
  }
  return text.startsWith("-") ? -total : total;
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
    const field = schema.fields[key];
    const set = given[key];
    if (set !== undefined && set !== null) out[key] = field ? withZeros(set, field) : set;
    else if (field?.zero !== undefined) out[key] = withZeros(field.zero, field);
  }
  return out;
}
