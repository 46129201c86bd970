import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { cannot } from "../errors.ts";
import { processStart } from "./system-files.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;

/** Of a file's name, as much as leaves room for the rest in the 255 bytes that a name may have. */
const NAME_LENGTH = 48;

let self: string | undefined;

/**
 * A name beside a file for one that is being made: nobody can guess it, it is hidden (the kubelet runs whatever else it
 * finds in its manifest directory), and tells whose it is, so that what a killed run left is known.
 */
export function temporaryName(target: string): string {
  self ??= `${process.pid}-${processStart("self")}`;
  return join(dirname(target), `${hiddenPrefix(target)}${self}-${randomBytes(6).toString("hex")}.kubestick`);
}

/** What the names of the files begin with that kubestick makes beside another. */
export const hiddenPrefix = (target: string) => `.${[...basename(target)].slice(0, NAME_LENGTH).join("")}.`;

/** Removes what runs that were killed left of a file that they were making; that of one that still runs stays. */
export function removeLeftovers(target: string): void {
  const prefix = hiddenPrefix(target);
  let names: string[] = [];
  try {
    names = fs.readdirSync(dirname(target));
  } catch {
    // Whoever writes there next says why it cannot.
  }
  for (const name of names) {
    const match = name.startsWith(prefix) && /^(\d+)-(\d+)-[0-9a-f]{12}\.kubestick$/.exec(name.slice(prefix.length));
    if (match && processStart(Number(match[1])) !== match[2]) removeQuietly(join(dirname(target), name));
  }
}

/**
 * A file that is being made beside its place, which it takes whole or not at all. Nothing that is there is opened or
 * followed, so that links and files that others planted in a shared directory come to no use. Its methods throw the
 * system's errors.
 */
export class NewFile {
  readonly target: string;
  readonly fd: number;
  readonly #temporary: string;
  #open = true;

  /** Throws an Error, too, when something is there that no file may replace: a directory, a device, a FIFO. */
  constructor(target: string) {
    refuseSpecial(target);
    removeLeftovers(target);
    this.target = target;
    this.#temporary = temporaryName(target);
    this.fd = fs.openSync(this.#temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  }

  /** Ends the writing: all of it is on the disk, with this mode, and not yet in its place. */
  seal(mode: number): void {
    fs.fchmodSync(this.fd, mode);
    fs.fsyncSync(this.fd);
    this.#close();
  }

  /** Puts it in its place. */
  place(): void {
    fs.renameSync(this.#temporary, this.target);
    syncDirectory(dirname(this.target));
  }

  /** Takes it away, unless it is in its place. */
  discard(): void {
    this.#close();
    removeQuietly(this.#temporary);
  }

  #close(): void {
    if (this.#open) fs.closeSync(this.fd);
    this.#open = false;
  }
}

function refuseSpecial(target: string): void {
  const found = fs.statSync(target, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw new Error(`it is ${found.isDirectory() ? "a directory" : "no plain file"}`);
}

/** Makes a name beside a path, by a link of either kind, and puts it in that place in one step. Throws the system's error. */
export function replaceByLink(path: string, make: (temporary: string) => void): void {
  removeLeftovers(path);
  const temporary = temporaryName(path);
  try {
    make(temporary);
    fs.renameSync(temporary, path);
  } finally {
    // A rename leaves two names of one file as they are; and it may have failed.
    removeQuietly(temporary);
  }
}

/**
 * Gives a file that nobody but root can change a second name in one step; false where that cannot be done, or was not: it is
 * somebody else's, on another file system, or on one without links, or it was replaced meanwhile. Throws the system's error
 * where the file is not there.
 */
export function linkRootsFile(path: string, target: string): boolean {
  const { uid, mode, ino, dev } = fs.statSync(path);
  if (uid !== 0 || (mode & 0o022) !== 0) return false;
  try {
    replaceByLink(target, (temporary) => {
      fs.linkSync(path, temporary);
      const linked = fs.lstatSync(temporary);
      if (linked.ino !== ino || linked.dev !== dev) throw new Error("it was replaced meanwhile");
    });
    return true;
  } catch {
    return false;
  }
}

/** Writes all of some bytes to an open file: one write may take fewer (write(2)). */
export function writeAll(fd: number, data: Buffer): void {
  for (let at = 0; at < data.length; ) at += fs.writeSync(fd, data, at, data.length - at);
}

/**
 * Writes a file in pieces, whole or not at all: beside its place, synced, then renamed. Gives its length in bytes.
 * Throws KubestickError with the reason, in which the file is called `name`.
 */
export function writeWhole(
  target: string,
  mode: number,
  chunks: Iterable<Buffer>,
  progress?: (bytes: number) => void,
  name: string = target,
): number {
  let file: NewFile | undefined;
  try {
    file = new NewFile(target);
    let length = 0;
    for (const data of chunks) {
      writeAll(file.fd, data);
      length += data.length;
      progress?.(length);
    }
    file.seal(mode);
    file.place();
    return length;
  } catch (error) {
    file?.discard();
    throw cannot(`write ${name}`, error);
  }
}

function removeQuietly(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It is in its place, or the error that led here is the one to report.
  }
}

/** Makes a rename last through a power cut; some file systems cannot sync a directory, and then it is left to them. */
function syncDirectory(path: string): void {
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, "r");
    syncQuietly(fd);
  } catch {
    // Left to the file system.
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Syncs an open directory, where its file system can do that. */
export function syncQuietly(fd: number): void {
  try {
    fs.fsyncSync(fd);
  } catch {
    // Left to the file system.
  }
}
