import { isPlain } from "../../lib/yaml/plain.ts";
import { readYamlDocuments } from "../../lib/yaml/read.ts";
import { writeYaml } from "../../lib/yaml/write.ts";

/** Random numbers that come again with the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** Keys that JavaScript's own objects have, or that YAML or a path treats in a way of its own. */
const KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "length",
  "",
  "a.b",
  "[0]",
  "yes",
  "<<",
  "$patch",
];

/** Values of every type, and strings that some parser stumbles over. */
const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1,
    65_536,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    1e21,
    1.5,
    1e-9,
    [],
    {},
    [[]],
    [null],
    { a: {} },
  ],
  ...[
    "",
    " ",
    "-",
    ".",
    "..",
    "/",
    "//",
    "yes",
    "0b11",
    "null",
    "\u0000",
    "\u0007",
    "\u001b[2J",
    "\u2028",
    "\ufeff",
    "\ud83d\ude00",
  ],
  ...[
    "x".repeat(300),
    "x".repeat(70_000),
    "a\nb",
    "a\r\nb",
    "%",
    "%zz",
    "$HOME",
    "$(id)",
    "../../etc/passwd",
    "NaN",
    "Infinity",
  ],
  ...[
    "10.0.0.1",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "::",
    "::1",
    "fd00::/8",
    "::ffff:1.2.3.4",
    "fe80::1%eth0",
    "256.1.1.1",
    "1.2.3",
    "[::1]:6443",
    ":0",
  ],
  ...[
    "https://",
    "https://[",
    "http://x:99999",
    "unix://",
    "unix:///",
    "tcp://1:2",
    "file:///etc",
    "https://u:p@h:1/x?y#z",
  ],
  ...[
    "v0.0.0",
    "v1.36.2-rc.1+b",
    "v999999999.0.0",
    "1.36",
    "0s",
    "-1s",
    "2562047h",
    "9999999h",
    "1ns",
    "2027-02-30T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
  ],
  ...[
    "sha256:00",
    "abcdef.0123456789abcdef",
    "MIIB",
    "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    "AAAA",
    "=",
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
  ],
];

type Slot = { owner: Record<string, unknown> | unknown[]; key: string | number };

function slots(value: unknown, out: Slot[] = []): Slot[] {
  const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : isPlain(value) ? Object.keys(value) : [];
  for (const key of keys) {
    out.push({ owner: value as unknown[], key });
    slots((value as Record<string | number, unknown>)[key], out);
  }
  return out;
}

function put({ owner, key }: Slot, value: unknown): void {
  Object.defineProperty(owner, key, { value, enumerable: true, writable: true, configurable: true });
}

const STEPS: ((slot: Slot, all: Slot[], random: Random) => void)[] = [
  (slot, _, random) => put(slot, structuredClone(random.pick(VALUES))),
  ({ owner, key }) => (Array.isArray(owner) ? owner.splice(Number(key), 1) : delete owner[key]),
  (slot, all, random) => {
    const other = random.pick(all);
    put(slot, structuredClone((other.owner as Record<string | number, unknown>)[other.key]));
  },
  ({ owner }, _, random) => {
    const value = structuredClone(random.pick(VALUES));
    if (Array.isArray(owner)) owner.push(value);
    else put({ owner, key: random.pick(KEYS) }, value);
  },
  (slot) => put(slot, [(slot.owner as Record<string | number, unknown>)[slot.key]]),
  (slot, _, random) => put(slot, { [random.pick(KEYS)]: (slot.owner as Record<string | number, unknown>)[slot.key] }),
  (slot, _, random) => {
    const value = (slot.owner as Record<string | number, unknown>)[slot.key];
    if (typeof value === "string") put(slot, mutateText(value, random));
  },
];

/** A YAML text with one to three of its values, keys or list items changed, added or taken away. */
export function mutateStructure(text: string, random: Random): string {
  const documents = [...readYamlDocuments(text)];
  for (let i = random.below(3); i >= 0; i--) {
    const all = slots(documents);
    if (all.length > 0) random.pick(STEPS)(random.pick(all), all, random);
  }
  return documents.map((document) => writeYaml(document)).join("---\n");
}

const PIECES = [
  "[",
  "]",
  "{",
  "}",
  ":",
  "- ",
  "? ",
  "&a ",
  "*a",
  "!!int ",
  "!x ",
  "|\n",
  ">\n",
  "'",
  '"',
  "#",
  "%",
  "\t",
  "\r",
  "\n",
  "---\n",
  "...\n",
  "<<: ",
  "\\",
  "\0",
  "\x7f",
  "\u0085",
  "é",
  "0",
  "~",
  "@",
  "`",
  ",",
];

/** A text with one to four of its characters changed, pieces of it moved, doubled or lost. */
export function mutateText(text: string, random: Random): string {
  let out = text;
  for (let i = random.below(4); i >= 0; i--) {
    const [a, b] = [random.below(out.length + 1), random.below(out.length + 1)].sort((x, y) => x - y) as [
      number,
      number,
    ];
    const near = Math.min(b, a + random.below(20));
    out = random.pick([
      () => out.slice(0, a) + random.pick(PIECES) + out.slice(a),
      () => out.slice(0, a) + out.slice(near),
      () => out.slice(0, a) + out.slice(a, near).repeat(2) + out.slice(near),
      () => out.slice(0, a) + random.pick(PIECES) + out.slice(a + 1),
      () => out.slice(0, a) + String.fromCharCode(random.below(256)) + out.slice(a + 1),
      () => out.slice(0, a),
      () => out.slice(a) + out.slice(0, a),
    ])();
  }
  return out;
}
