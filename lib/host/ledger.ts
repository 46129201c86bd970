import { createHash } from "node:crypto";
import { LEDGER_FILE } from "../constants/paths.ts";
import { KubestickError, moveAway } from "../errors.ts";
import type { Files, WriteOptions } from "./files.ts";
import { type Found, readRecord, writeRecord } from "./record.ts";

type Condition = Found<unknown>["condition"];

/** Stands in the place of a digest for a directory. */
const CLAIMED = "claimed";

const digest = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

/**
 * What kubestick wrote on this host: for each path the SHA-256 of what is there, and of what was there before it, since
 * a crash can come between noting a write and doing it. A file that is not in it, or was changed since, belongs
 * to somebody else and is not overwritten. It also says that an earlier `init` began here, so that a second run can
 * tell its own half-made control plane from a foreign one.
 */
export class Ledger {
  readonly #files: Files;
  readonly #entries: Record<string, string[]>;
  #condition: Condition;

  /** A damaged ledger owns nothing: kubestick then asks before it replaces a file, which is the safe side. */
  constructor(files: Files) {
    this.#files = files;
    const { value, condition } = readRecord(files, LEDGER_FILE, parse);
    this.#entries = value ?? {};
    this.#condition = condition;
  }

  /** What became of it: `restored` where only its previous copy could be read, `damaged` where that could not either. */
  get condition(): Condition {
    return this.#condition;
  }

  /** Whether kubestick has written anything on this host before. */
  get begun(): boolean {
    return Object.keys(this.#entries).length > 0;
  }

  /** Whether the file at a path is as kubestick left it. */
  owns(path: string): boolean {
    const data = this.#files.read(path);
    return data !== undefined && (this.#entries[path] ?? []).includes(digest(data));
  }

  /** Every path that kubestick wrote or claimed. */
  get paths(): string[] {
    return Object.keys(this.#entries);
  }

  /** Notes that kubestick began to use a file or directory (`/var/lib/etcd`), whatever a component then puts there. */
  claim(path: string): void {
    this.#note(path, CLAIMED);
  }

  /** As `claim`, for many files at once: those that are not there yet, which kubestick is about to make. */
  claimMissing(paths: string[]): void {
    const missing = paths.filter((path) => !this.#files.exists(path) && !this.claimed(path));
    for (const path of missing) this.#entries[path] = [CLAIMED];
    if (missing.length > 0) this.#save();
  }

  /** Whether kubestick has claimed a file or directory. */
  claimed(path: string): boolean {
    return this.#entries[path]?.includes(CLAIMED) ?? false;
  }

  /**
   * Writes a file, refusing to replace one that kubestick did not write. Returns false when the file already held
   * exactly this. Throws KubestickError when it is somebody else's.
   */
  write(path: string, data: string | Buffer, options: WriteOptions = {}): boolean {
    const existing = this.#files.read(path);
    if (existing !== undefined) {
      if (existing.equals(typeof data === "string" ? Buffer.from(data) : data)) {
        this.#note(path, digest(data));
        return false;
      }
      if (!this.owns(path)) {
        throw new KubestickError(`${path} is already there, and kubestick did not write it`, {
          code: "foreign",
          hint: `look at it, then ${moveAway(path)}`,
        });
      }
    }
    return this.replace(path, data, options);
  }

  /**
   * Writes a file that belongs to kubestick whatever was there; returns whether that changed it. The ledger is written
   * first, so a crash between the two loses nothing.
   */
  replace(path: string, data: string | Buffer, options: WriteOptions = {}): boolean {
    this.#note(path, digest(data));
    if (this.#files.read(path)?.equals(Buffer.from(data as Buffer))) return false;
    this.#files.write(path, data, options);
    return true;
  }

  #note(path: string, value: string): void {
    const known = this.#entries[path] ?? [];
    if (known.at(-1) === value) return;
    this.#entries[path] = [...known.filter((v) => v !== value), value].slice(-2);
    this.#save();
  }

  #save(): void {
    const sorted = Object.fromEntries(Object.entries(this.#entries).sort(([a], [b]) => (a < b ? -1 : 1)));
    const damaged = this.#condition === "restored" || this.#condition === "damaged";
    writeRecord(this.#files, LEDGER_FILE, `${JSON.stringify(sorted, null, 1)}\n`, { damaged });
    this.#condition = "whole";
  }
}

/** Throws, or gives undefined, for what is no ledger. */
function parse(text: string): Record<string, string[]> | undefined {
  const value: unknown = JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const isEntry = (e: [string, unknown]): e is [string, string[]] =>
    Array.isArray(e[1]) && e[1].every((v) => typeof v === "string");
  const entries = Object.entries(value);
  return entries.every(isEntry) ? Object.fromEntries(entries) : undefined;
}
