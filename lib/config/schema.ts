import { durationProblem } from "../util/duration.ts";
import { timeProblem } from "../util/time.ts";

/** Returns what is wrong with a string, with the fix; undefined when nothing is. */
type Check = (value: string) => string | undefined;

/** What can be said of a value of any kind. */
interface Common {
  /** Written out where the value is not set: a Go field without `omitempty`. */
  zero?: unknown;
  /** Whether the value is always there once defaults are filled in. */
  filled?: true;
  /** What is filled in where nothing is given, and the default does not depend on anything else. */
  default?: unknown;
}

/** What may stand at one place of a document. `unset` is the value that means that nothing was given. */
type Shape = Common &
  (
    | { kind: "string"; check?: Check; unset?: string }
    | { kind: "bool" }
    | { kind: "int"; min?: number; max?: number; unset?: number }
    | { kind: "number" }
    | { kind: "any" }
    | { kind: "list"; of: Schema }
    | { kind: "map"; of: Schema }
    | { kind: "object"; fields: Fields; required?: readonly string[] }
  );

declare const TYPE: unique symbol;

/**
 * A small schema language: what a configuration document may hold, `T` in TypeScript. One schema serves the type, strict
 * reading (unknown and ill-typed fields), defaults and, for component configurations, the zero values that Kubernetes'
 * own serializer writes out.
 */
export type Schema<T = unknown> = Shape & { readonly [TYPE]?: T };

/** Schemas of an object's fields. */
type Fields = Record<string, Schema>;
/** An object's schema, whose fields can be told. */
export type ObjectSchema<T = unknown> = Schema<T> & { kind: "object" };
/** The mark of a schema whose value is always there once defaults are filled in. */
interface Filled {
  filled: true;
}

/** The type of a whole value: what is required, or filled in by defaults, is there. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** What may have been given of a value, before defaults and before anybody has checked what it needs. */
export type Given<T> = T extends readonly (infer Item)[]
  ? Given<Item>[]
  : T extends object
    ? { [K in keyof T]?: Given<T[K]> }
    : T;

type There<F, R> = R | { [K in keyof F]: F[K] extends Filled ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };
type ObjectOf<F, R> = Flat<
  { [K in keyof F as K extends There<F, R> ? K : never]: Infer<F[K]> } & {
    [K in keyof F as K extends There<F, R> ? never : K]?: Infer<F[K]>;
  }
>;

/** Anything that YAML has. */
export const any: Schema = { kind: "any" };
/** Any string, an empty one too. */
export const string: Schema<string> = { kind: "string" };
/** True or false. */
export const bool: Schema<boolean> = { kind: "bool" };
/** A whole number of 32 bits. */
export const int: Schema<number> = { kind: "int" };
/** A number with or without a fraction. */
export const number: Schema<number> = { kind: "number" };

/** A string that `check` accepts. */
export const checked = <T extends string = string>(check: Check): Schema<T> => ({ kind: "string", check });
/** A string out of a fixed set. */
export const oneOf = <const T extends string>(...values: T[]): Schema<T> =>
  checked((v) => ((values as string[]).includes(v) ? undefined : `must be one of ${values.join(", ")}`));
/** A whole number within bounds, both included. */
export const intBetween = (min: number, max: number): Schema<number> => ({ kind: "int", min, max });
/** A whole number of 64 bits in Go; here, one that a number can hold exactly. */
export const long = intBetween(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** Any number of values of one kind. */
export const list = <T>(of: Schema<T>): Schema<T[]> => ({ kind: "list", of });
/** An object with fields of any names, and values of one kind. */
export const map = <T>(of: Schema<T>): Schema<Record<string, T>> => ({ kind: "map", of });
/** An object with exactly these fields; those in `required` must be there. */
export const object = <F extends Fields, R extends keyof F & string = never>(
  fields: F,
  required?: readonly R[],
): ObjectSchema<ObjectOf<F, R>> => ({ kind: "object", fields, required });
/** A whole document: an object that says by `apiVersion` and `kind` what it is, which is no part of its value's type. */
export const document = <F extends Fields, R extends keyof F & string = never>(
  fields: F,
  required?: readonly R[],
): ObjectSchema<ObjectOf<F, R>> => ({
  kind: "object",
  fields: { apiVersion: string, kind: string, ...fields },
  required,
});

/** A Go duration (time.ParseDuration), such as 1h30m. */
export const duration = checked(durationProblem);
/** A moment (RFC 3339), with a day that the calendar has. */
export const time = checked(timeProblem);

/** The same schema, written out with this value where the field is not set (a Go field without `omitempty`). */
export const zero = <T>(schema: Schema<T>, value: unknown): Schema<T> => ({ ...schema, zero: value });

/** The same string or number, for which `""` or 0 means that nothing was given, as Go's defaulting has it. */
export const optional = <T>(schema: Schema<T>): Schema<T> => {
  if (schema.kind === "string") return { ...schema, unset: "" };
  return schema.kind === "int" ? { ...schema, unset: 0 } : schema;
};

/**
 * The same schema, for a value that is always there once defaults are filled in: `value` where nothing was given, an
 * object with its own fields' defaults, or what the document's kind finds out for itself.
 */
export const filled = <T>(schema: Schema<T>, value?: T): Schema<T> & Filled => ({
  ...schema,
  filled: true,
  ...(value === undefined ? {} : { default: value }),
});
