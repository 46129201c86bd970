import * as json from "../util/json.ts";

/** Levels and values of one answer: some forty and a hundred thousand are the most that real ones have. */
const LIMITS: json.JsonLimits = { depth: 100, values: 200_000 };

/** Why an answer's JSON would take far more memory than its length when it is parsed; undefined for any other, JSON or not. */
export function jsonExcess(text: Buffer): string | undefined {
  const excess = json.jsonExcess(text, LIMITS);
  if (excess === undefined) return undefined;
  return excess === "depth"
    ? `it is nested more than ${LIMITS.depth} levels deep`
    : `it has more than ${LIMITS.values} values`;
}
