/** Levels and values of one answer: some forty and a hundred thousand are the most that real ones have. */
const MAX_DEPTH = 100;
const MAX_VALUES = 200_000;

const [QUOTE, BACKSLASH, COMMA] = ['"', "\\", ","].map((c) => c.charCodeAt(0)) as [number, number, number];
const OPENING = new Set(["{", "["].map((c) => c.charCodeAt(0)));
const CLOSING = new Set(["}", "]"].map((c) => c.charCodeAt(0)));

/**
 * Why a JSON text would take far more memory than its length when it is parsed: a few megabytes of brackets are half a
 * gigabyte of objects. Undefined for any other, JSON or not.
 */
export function jsonExcess(json: Buffer): string | undefined {
  let [depth, values, inString] = [0, 0, false];
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) inString = !inString;
    else if (inString) {
      if (byte === BACKSLASH) at++;
    } else if (OPENING.has(byte)) {
      values++;
      if (++depth > MAX_DEPTH) return `it is nested more than ${MAX_DEPTH} levels deep`;
    } else if (CLOSING.has(byte)) depth--;
    else if (byte === COMMA) values++;
    if (values > MAX_VALUES) return `it has more than ${MAX_VALUES} values`;
  }
  return undefined;
}
