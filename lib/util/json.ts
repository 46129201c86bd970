const [QUOTE, BACKSLASH, COMMA] = ['"', "\\", ","].map((c) => c.charCodeAt(0)) as [number, number, number];
const OPENING = new Set(["{", "["].map((c) => c.charCodeAt(0)));
const CLOSING = new Set(["}", "]"].map((c) => c.charCodeAt(0)));

/** What a text of JSON may have: levels of nesting, and values in all. */
export interface JsonLimits {
  depth: number;
  values: number;
}

/**
 * Of which of two limits a text of JSON has more, found by looking at its brackets and commas alone; undefined where it
 * has not, JSON or not. A few megabytes of brackets would be half a gigabyte of objects once they are parsed.
 */
export function jsonExcess(json: Buffer, limits: JsonLimits): keyof JsonLimits | undefined {
  let [depth, values, inString] = [0, 0, false];
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) inString = !inString;
    else if (inString) {
      if (byte === BACKSLASH) at++;
    } else if (OPENING.has(byte)) {
      values++;
      if (++depth > limits.depth) return "depth";
    } else if (CLOSING.has(byte)) depth--;
    else if (byte === COMMA) values++;
    if (values > limits.values) return "values";
  }
  return undefined;
}
