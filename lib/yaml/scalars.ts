/** What a YAML scalar can stand for in Kubernetes. */
export type ScalarValue = string | number | boolean | null;

/** Words with a meaning of their own (go-yaml v2 resolve.go, which is YAML 1.1's table). */
const WORDS = new Map<string, ScalarValue>();
for (const [value, words] of [
  [true, "y Y yes Yes YES true True TRUE on On ON"],
  [false, "n N no No NO false False FALSE off Off OFF"],
  [null, "~ null Null NULL"],
  [Number.NaN, ".nan .NaN .NAN"],
  [Number.POSITIVE_INFINITY, ".inf .Inf .INF +.inf +.Inf +.INF"],
  [Number.NEGATIVE_INFINITY, "-.inf -.Inf -.INF"],
] as const) {
  for (const word of words.split(" ")) WORDS.set(word, value);
}
WORDS.set("", null);

const INTEGER = /^([+-]?)(?:0[bB]([01]+)|0[oO]([0-7]+)|0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))$/;
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
/** Go takes underscores between the digits of a float that begins with a point (strconv.ParseFloat). */
const POINT_FIRST = /^\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?$/;
/** More digits than any number of 64 bits has; leading zeros do not count as a reason to read on. */
const MAX_DIGITS = 128;

/**
 * What an unquoted scalar stands for, as Kubernetes reads it: sigs.k8s.io/yaml, that is go-yaml v2's resolve. `yes` is
 * true, `0b11`, `0o17`, `017`, `0x1F` and `1_000` are numbers; dates and times of day (base 60) are strings.
 */
export function resolvePlain(text: string): ScalarValue {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  const first = text[0]!;
  if (first === ".") return POINT_FIRST.test(text) ? finite(text.replaceAll("_", ""), text) : text;
  if (!/[0-9+-]/.test(first)) return text;
  const bare = text.replaceAll("_", "");
  const integer = toInteger(bare);
  if (integer !== undefined) return integer;
  return FLOAT.test(bare) ? finite(bare, text) : text;
}

/** A number that a float of 64 bits can hold; else the text that stood for it (Go's ErrRange). */
function finite(bare: string, text: string): number | string {
  const value = Number(bare);
  return Number.isFinite(value) ? value : text;
}

function toInteger(text: string): number | undefined {
  const match = text.length <= MAX_DIGITS ? INTEGER.exec(text) : null;
  if (!match) return undefined;
  const [, sign = "", binary, octal, hex, leadingZero, decimal] = match;
  const old = leadingZero === undefined ? undefined : `0o${leadingZero || "0"}`;
  const size = BigInt(
    old ??
      (binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : hex !== undefined
            ? `0x${hex}`
            : decimal!),
  );
  // ParseInt, then ParseUint, which takes no sign.
  const limit = sign === "" ? (1n << 64n) - 1n : sign === "-" ? 1n << 63n : (1n << 63n) - 1n;
  if (size > limit) return undefined;
  return Number(sign === "-" ? -size : size);
}

/** Times and dates, which YAML 1.1 readers other than Kubernetes' take for what they look like (PyYAML, older Ruby). */
const TIME = /^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$|^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?$/s;

/** Numbers that other YAML 1.1 readers know, or YAML 1.2 ones. */
const FOREIGN_NUMBER = /^[-+]?(0[xXoObB]?[0-9a-fA-F_]+|[0-9][0-9_,]*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9_]+)?$/;

/**
 * Whether a string must be quoted to stay one: an unquoted scalar of this text would be a bool, number, null or
 * timestamp to Kubernetes, or to another reader of YAML 1.1 or 1.2, or is a word that YAML keeps for itself.
 */
export function looksTyped(text: string): boolean {
  return resolvePlain(text) !== text || text === "<<" || text === "=" || TIME.test(text) || FOREIGN_NUMBER.test(text);
}
