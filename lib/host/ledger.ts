import { createHash } from "node:crypto";
import { HOST_BINARIES_FILE, LEDGER_FILE, REPLACED_DIR } from "../constants/paths.ts";
import { KubestickError, moveAway } from "../errors.ts";
import type { Files, WriteOptions } from "./files.ts";
import {
  type Entries,
  type Entry,
  entriesOf,
  type FileEntry,
  formatLedger,
  type Installed,
  keyOf,
  parseBinaries,
  parseLedger,
} from "./ledger-entries.ts";
import type { Original } from "./original.ts";
import { type Found, previousOf, readRecord, writeRecord } from "./record.ts";

const digest = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

const isClaimed = (entry: Entry | undefined): boolean =>
  entry?.type === "directory" || (entry?.type === "file" && entry.claimed === true);

/** Where what was at a path before kubestick is kept. */
export const keptAt = (path: string): string => `${REPLACED_DIR}${path}`;

/**
 * What kubestick did to this host, so that a second run can tell its own half-made work from somebody else's, and `reset`
 * takes away that and nothing else: files and directories, host binaries, services, kernel settings, and what was there
 * before. A file that is not in it, or was changed since, belongs to somebody else and is not overwritten. It is read anew
 * each time, and written before what it tells of is done: several parts of a run note things, and each may be the last.
 */
export class Ledger {
  readonly #files: Files;

  /** A damaged ledger owns nothing: kubestick then asks before it replaces a file, which is the safe side. */
  constructor(files: Files) {
    this.#files = files;
  }

  #find(): Found<Entries> {
    return readRecord(this.#files, LEDGER_FILE, parseLedger);
  }

  #entries(): Entries {
    return this.#find().value ?? new Map();
  }

  /** What became of it: `restored` where only its previous copy could be read, `damaged` where that could not either. */
  get condition(): Found<unknown>["condition"] {
    return this.#find().condition;
  }

  /** Whether kubestick has written anything on this host before. */
  get begun(): boolean {
    return this.paths.length > 0;
  }

  /** Whether the file at a path is as kubestick left it. */
  owns(path: string): boolean {
    const entry = this.#file(path);
    const data = entry && this.#files.read(path);
    return data !== undefined && (entry?.sha256.includes(digest(data)) ?? false);
  }

  #file(path: string): FileEntry | undefined {
    const entry = this.#entries().get(path);
    return entry?.type === "file" ? entry : undefined;
  }

  /** Every path that kubestick wrote or claimed. */
  get paths(): string[] {
    return [...this.#entries()].flatMap(([key, { type }]) => (type === "file" || type === "directory" ? [key] : []));
  }

  /** Notes that kubestick began to use a file, whatever a component then writes into it. */
  claim(path: string): void {
    this.#note([[path, { type: "file", sha256: this.#file(path)?.sha256 ?? [], claimed: true }]]);
  }

  /** As `claim`, for a directory (`/var/lib/etcd`). */
  claimDirectory(path: string): void {
    this.#note([[path, { type: "directory" }]]);
  }

  /** As `claim`, for many files at once: those that are not there yet, which kubestick is about to make. */
  claimMissing(paths: string[]): void {
    const entries = this.#entries();
    const missing = paths.filter((path) => !this.#files.exists(path) && !isClaimed(entries.get(path)));
    this.#note(missing.map((path) => [path, { type: "file", sha256: [], claimed: true }]));
  }

  /** Whether kubestick has claimed a file or directory. */
  claimed(path: string): boolean {
    return isClaimed(this.#entries().get(path));
  }

  /**
   * Writes a file, refusing to replace one that kubestick did not write. Returns false when the file already held
   * exactly this. Throws KubestickError when it is somebody else's.
   */
  write(path: string, data: string | Buffer, options: WriteOptions = {}): boolean {
    const existing = this.#files.read(path);
    if (existing !== undefined && !existing.equals(Buffer.from(data as Buffer)) && !this.owns(path))
      throw new KubestickError(`${path} is already there, and kubestick did not write it`, {
        code: "foreign",
        hint: `look at it, then ${moveAway(path)}`,
      });
    return this.replace(path, data, options);
  }

  /**
   * Writes a file that belongs to kubestick whatever was there; returns whether that changed it. What somebody else had
   * there is kept. The ledger is written first, so a crash between the two loses nothing.
   */
  replace(path: string, data: string | Buffer, options: WriteOptions = {}): boolean {
    const same = this.#files.read(path)?.equals(Buffer.from(data as Buffer)) ?? false;
    if (!same) this.keep(path);
    const { sha256 = [], claimed } = this.#file(path) ?? {};
    const now = digest(data);
    const known = [...sha256.filter((before) => before !== now), now].slice(-2);
    this.#note([[path, { type: "file", sha256: known, ...(claimed ? { claimed } : {}) }]]);
    if (same) return false;
    this.#files.write(path, data, options);
    return true;
  }

  /**
   * Keeps what somebody else has at a path, before it is replaced for the first time: `reset` puts it back. Nothing happens
   * where nothing is, or where kubestick began to use the path before. Throws KubestickError when it cannot be kept.
   */
  keep(path: string): void {
    const entries = this.#entries();
    if (entries.has(path) || entries.has(keyOf("original", path))) return;
    const original = this.#files.preserve(path, REPLACED_DIR);
    if (original) this.#note([[keyOf("original", path), { type: "original", ...original }]]);
  }

  /** What was there before kubestick, by its path. */
  get originals(): [string, Original][] {
    return entriesOf(this.#entries(), "original");
  }

  /** The host binaries that kubestick installed, by name. */
  get binaries(): Record<string, Installed> {
    const noted = entriesOf(this.#entries(), "binary").map(
      ([name, { version, digest, files }]): [string, Installed] => [name, { version, digest, files }],
    );
    return { ...this.#oldBinaries().value, ...Object.fromEntries(noted) };
  }

  /** Whether which host binaries are kubestick's is not known any more: the file that cannot be read; undefined where it is known. */
  get damagedBinaries(): string | undefined {
    if (this.condition === "damaged") return LEDGER_FILE;
    return this.#oldBinaries().condition === "damaged" ? HOST_BINARIES_FILE : undefined;
  }

  #oldBinaries(): Found<Record<string, Installed>> {
    return readRecord(this.#files, HOST_BINARIES_FILE, parseBinaries);
  }

  /** Notes that kubestick installs a host binary, or has installed it. */
  noteBinary(name: string, installed: Installed): void {
    this.#note([[keyOf("binary", name), { type: "binary", ...installed }]]);
  }

  /** The services whose definitions kubestick made. */
  get services(): string[] {
    return entriesOf(this.#entries(), "service").map(([name]) => name);
  }

  /** Notes that kubestick made a service's definition. */
  noteService(name: string): void {
    this.#note([[keyOf("service", name), { type: "service" }]]);
  }

  /** The kernel settings that kubestick changed, by their names. */
  get sysctls(): [string, { before: string; value: string }][] {
    return entriesOf(this.#entries(), "sysctl");
  }

  /** Notes the value that a kernel setting has before kubestick gives it another; the first one counts. */
  noteSysctl(name: string, before: string, value: string): void {
    const known = this.sysctls.find(([noted]) => noted === name)?.[1].before;
    if (known !== undefined || before !== value)
      this.#note([[keyOf("sysctl", name), { type: "sysctl", before: known ?? before, value }]]);
  }

  /** Writes entries, unless all of them are there as they are. */
  #note(noted: [string, Entry][]): void {
    const { value, condition } = this.#find();
    const entries: Entries = value ?? new Map();
    const changed = noted.filter(([key, entry]) => !Bun.deepEquals(entries.get(key), entry));
    if (changed.length === 0) return;
    const old = this.#oldBinaries();
    for (const [name, installed] of Object.entries(old.value ?? {}))
      if (!entries.has(keyOf("binary", name))) entries.set(keyOf("binary", name), { type: "binary", ...installed });
    for (const [key, entry] of changed) entries.set(key, entry);
    const damaged = condition === "restored" || condition === "damaged";
    writeRecord(this.#files, LEDGER_FILE, formatLedger(entries), { damaged });
    if (old.value) for (const path of [HOST_BINARIES_FILE, previousOf(HOST_BINARIES_FILE)]) this.#files.remove(path);
  }
}
