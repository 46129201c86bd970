import { KubestickError } from "../errors.ts";
import { noteGarbage } from "../host/memory.ts";
import { jsonExcess } from "../util/json.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { LIMITS } from "./limits.ts";

/** What a parsed document takes, its text included, for each byte of it. */
const PARSED_FACTOR = 8;

/** Parses JSON from outside, within LIMITS. Throws KubestickError naming `what`. */
export function parseJson(data: Buffer, what: string): unknown {
  const excess = excessOf(data);
  if (excess !== undefined) throw new KubestickError(`${what} ${excess}`);
  noteGarbage(PARSED_FACTOR * data.length);
  try {
    return JSON.parse(data.toString("utf8"));
  } catch {
    throw new KubestickError(`${what} is not JSON`);
  }
}

function excessOf(data: Buffer): string | undefined {
  const { jsonBytes, jsonDepth: depth, jsonValues: values } = LIMITS;
  if (data.length > jsonBytes) return `is larger than ${jsonBytes} bytes`;
  const excess = jsonExcess(data, { depth, values });
  if (excess === undefined) return undefined;
  return excess === "depth" ? `is nested deeper than ${depth} levels` : `has more than ${values} values`;
}

/** Parses JSON from outside that must be an object, within LIMITS. Throws KubestickError naming `what`. */
export function parseObject(data: Buffer, what: string): Plain {
  const value = parseJson(data, what);
  if (isPlain(value)) return value;
  throw new KubestickError(`${what} is not a JSON object`);
}

/** A list of objects in a field of JSON from outside; empty where the field is missing. Throws KubestickError naming `what`. */
export function objectList(value: unknown, what: string): Plain[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every(isPlain)) return value;
  throw new KubestickError(`${what} is not a list of objects`);
}
