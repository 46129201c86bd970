import type { Random } from "./random.ts";

/** A digest of nothing that is there. */
export const DIGEST = `sha256:${"0".repeat(64)}`;
/** Nothing hostile is larger than this before it is unpacked. */
export const MAX_BYTES = 24 * 1024 * 1024;

/** Values that a field of JSON should not have. */
const ODD_VALUES: unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  2 ** 53,
  "",
  "NaN",
  [],
  {},
  [[[[]]]],
  DIGEST,
  "sha256:../../../../etc/passwd",
  `sha512:${"0".repeat(128)}`,
  "../../../escaped",
  "/etc/passwd",
  "\x1b[2Jx\r\n",
  "\u202e\u0000",
  { __proto__: null, toString: 1 },
];

/** A text of JSON that is more than it should be. */
export function heavyJson(random: Random): string {
  const n = random.size(MAX_BYTES / 4);
  return random.pick([
    () => "[".repeat(n),
    () => `{"manifests":${'[{"a":'.repeat(n / 8)}`,
    () => `{"manifests":[${"{},".repeat(n / 4)}{}]}`,
    () => `{"layers":[${"[],".repeat(n / 4)}0]}`,
    () => `{${Array.from({ length: n / 16 }, (_, i) => `"k${i}":${i}`).join()}}`,
    () => `{"a":"${"x".repeat(n)}"}`,
    () => `{"a":"${"\\u0000".repeat(n / 6)}"}`,
    () => `${" ".repeat(n)}{}`,
    () => `{"a":1e${"9".repeat(Math.min(n, 1_000_000))}}`,
    () => '{"__proto__":{"manifests":[]},"constructor":null}',
    () => "\ufeff{}",
    () => "null",
  ])();
}

/** Changes something in JSON: a field's value, a field more or less, or the whole. */
export function spoil(random: Random, value: unknown): unknown {
  if (value === null || typeof value !== "object" || random.chance(0.15)) return random.pick(ODD_VALUES);
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  const keys = Object.keys(copy);
  const key =
    keys.length > 0 && random.chance(0.8)
      ? random.pick(keys)
      : random.pick(["manifests", "layers", "config", "mediaType", "annotations", "platform", "__proto__", "size"]);
  copy[key] = random.chance(0.5) ? spoil(random, copy[key]) : random.pick(ODD_VALUES);
  return copy;
}

/** A text of YAML that is more than it should be, or something else. */
export function yaml(random: Random): string {
  const n = random.size(500_000);
  return random.pick([
    () => "[".repeat(n),
    () => `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*a, *a]`).join("\n")}\n`,
    () => "kind: Pod\nspec: {image: 'a b'}\n",
    () => `kind: Pod\nimage: ${"x".repeat(n)}\n`,
    () => `${"---\nkind: A\n".repeat(n / 20)}`,
    () => `kind: A\n${"k: 1\n".repeat(n / 5)}`,
    () => "\0",
    () => "kind: Pod\nspec: {containers: [{image: busybox}]}\n",
  ])();
}
