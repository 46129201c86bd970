import { LIMITS } from "./limits.ts";

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Why a text of JSON would take more memory than it may, found by looking at its brackets and commas alone; undefined where
 * it would not. A parser makes 50 bytes or more out of each two.
 */
export function jsonExcess(data: Buffer): string | undefined {
  if (data.length > LIMITS.jsonBytes) return `is larger than ${LIMITS.jsonBytes} bytes`;
  let [depth, values, inString] = [0, 0, false];
  for (let i = 0; i < data.length; i++) {
    const byte = data[i]!;
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === COMMA) values++;
    else if (OPENING.has(byte)) {
      values++;
      if (++depth > LIMITS.jsonDepth) return `is nested deeper than ${LIMITS.jsonDepth} levels`;
    } else if (CLOSING.has(byte)) depth--;
  }
  return values > LIMITS.jsonValues ? `has more than ${LIMITS.jsonValues} values` : undefined;
}
