import type { Original } from "./original.ts";

/**
 * A file that kubestick wrote: the SHA-256 of what is there, and of what was there before it, since a crash can come
 * between noting a write and doing it. `claimed` means that it is kubestick's whatever a component writes into it.
 */
export interface FileEntry {
  type: "file";
  sha256: string[];
  claimed?: true;
}

/** A host binary that kubestick installed: the published file's version and digest, and its programs. */
export interface Installed {
  version: string;
  /** Empty while it is being installed. */
  digest: string;
  files: string[];
}

/** What a ledger has an entry for. */
export type Entry =
  | FileEntry
  /** A directory that kubestick began to use, whatever a component puts into it. */
  | { type: "directory" }
  /** What was at a path before kubestick; it is kept below REPLACED_DIR. */
  | ({ type: "original" } & Original)
  | ({ type: "binary" } & Installed)
  /** A service whose definition kubestick made. */
  | { type: "service" }
  /** A kernel setting by its name in sysctl(8): the value that it had, and the one that it was given. */
  | { type: "sysctl"; before: string; value: string };

/** Entries by their keys: a path for files and directories, else `TYPE:NAME`. */
export type Entries = Map<string, Entry>;

type Named = Exclude<Entry["type"], "file" | "directory">;

/** The key of an entry that is not simply at its path. */
export const keyOf = (type: Named, name: string): string => `${type}:${name}`;

/** Every entry of a type, by its name. */
export function entriesOf<T extends Named>(entries: Entries, type: T): [string, Extract<Entry, { type: T }>][] {
  return [...entries].flatMap(([key, entry]) =>
    entry.type === type && key.startsWith(`${type}:`)
      ? [[key.slice(type.length + 1), entry as Extract<Entry, { type: T }>]]
      : [],
  );
}

/** How the first versions marked what is kubestick's whatever is in it, among the digests. */
const CLAIMED = "claimed";

const isText = (value: unknown): value is string => typeof value === "string";
const areTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
const isPath = (value: unknown): value is string => isText(value) && value.startsWith("/") && !value.includes("\0");

/** What each type of entry must hold. */
const CHECKS: Record<Entry["type"], (entry: Record<string, unknown>) => boolean> = {
  file: ({ sha256, claimed }) => areTexts(sha256) && (claimed === undefined || claimed === true),
  directory: () => true,
  original: ({ sha256, link }) => isText(sha256) !== isText(link),
  binary: ({ version, digest, files }) =>
    isText(version) && isText(digest) && Array.isArray(files) && files.every(isPath),
  service: () => true,
  sysctl: ({ before, value }) => isText(before) && isText(value),
};

/**
 * The entries of a ledger's text. The first versions had for each path a list of digests, or `claimed`; those are read as
 * files. What a later version noted, of a type that is not known here, is kept as it is. Throws, or gives undefined, for
 * what is no ledger.
 */
export function parseLedger(text: string): Entries | undefined {
  const value: unknown = JSON.parse(text);
  if (!isMap(value)) return undefined;
  const entries: Entries = new Map();
  for (const [key, entry] of Object.entries(value)) {
    if (areTexts(entry)) {
      const claimed = entry.includes(CLAIMED) ? { claimed: true as const } : {};
      entries.set(key, { type: "file", sha256: entry.filter((digest) => digest !== CLAIMED), ...claimed });
    } else if (isMap(entry) && isText(entry["type"])) {
      const known = Object.hasOwn(CHECKS, entry["type"]);
      if (known && !CHECKS[entry["type"] as Entry["type"]](entry)) return undefined;
      entries.set(key, entry as unknown as Entry);
    } else return undefined;
  }
  return entries;
}

/** A ledger's text. */
export function formatLedger(entries: Entries): string {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), null, 1)}\n`;
}

/**
 * The first versions' record of host binaries, which had a file of its own. Throws, or gives undefined, for what is no such
 * record; what is no host binary in it is left out.
 */
export function parseBinaries(text: string): Record<string, Installed> | undefined {
  const value: unknown = JSON.parse(text);
  if (!isMap(value)) return undefined;
  const isInstalled = (entry: unknown): entry is Installed => isMap(entry) && CHECKS.binary(entry);
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, Installed] => isInstalled(entry[1])),
  );
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);
