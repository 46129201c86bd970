import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { errno } from "../errors.ts";
import { makeDirectory } from "./directories.ts";
import { replaceByLink, syncQuietly, temporaryName, writeAll } from "./new-file.ts";
import { insideBelow, type Left } from "./remove.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

const CHUNK_BYTES = 1024 * 1024;
/** What is larger is a program, and kept by a second name: a board has no room, and no time, for two of each. */
const COPIED_BYTES = 1024 * 1024;

/** What was at a path before it was replaced: a plain file by the SHA-256 of its bytes, or a link by where it leads. */
export type Original = { sha256: string } | { link: string };

/** What is at a path; undefined where nothing is, or neither a plain file nor a link. Throws the system's error. */
export function originalOf(path: string): Original | undefined {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) return { link: fs.readlinkSync(path) };
  return found?.isFile() ? { sha256: fileDigest(path) } : undefined;
}

/**
 * Keeps what is at a path, as it is, below a directory that nobody else looks into (0700): a file with its bytes, mode,
 * owner and time, or a link itself. It is on the disk when this returns. Gives what it is; undefined where nothing is, or
 * neither file nor link. Throws the system's error.
 */
export function keepOriginal(path: string, place: { directory: string; name: string }): Original | undefined {
  const original = originalOf(path);
  if (original === undefined) return undefined;
  const kept = join(place.directory, place.name);
  makeDirectory(place.directory, 0o700);
  makeDirectory(dirname(kept));
  replaceByLink(kept, (name) => linkOrCopy(path, name));
  const fd = fs.openSync(dirname(kept), O_RDONLY);
  syncQuietly(fd);
  fs.closeSync(fd);
  return originalOf(kept);
}

/** Whether what is at a path is still, or again, what was there before. */
export function isOriginal(path: string, original: Original): boolean {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if ("link" in original) return found?.isSymbolicLink() === true && fs.readlinkSync(path) === original.link;
  return found?.isFile() === true && fileDigest(path) === original.sha256;
}

/** Why what was kept cannot be put back: it is not there, or not what it was; undefined where it can be. */
export function whyDamaged(kept: string, original: Original): string | undefined {
  if (!fs.lstatSync(kept, { throwIfNoEntry: false })) return "it is gone";
  return isOriginal(kept, original) ? undefined : "it is damaged";
}

/**
 * Puts what was kept at `kept` back to a path below a directory, with no link on the way between them, where nothing is
 * now; directories on the way are made (0755). The kept one stays. Gives what could not be done.
 */
export const putBack = (directory: string, path: string, kept: string): Left[] =>
  insideBelow(
    directory,
    path,
    (name, parent) => {
      putHere(kept, name, basename(path));
      syncQuietly(parent);
    },
    { make: true },
  );

/** Nothing is ever replaced: a link does not take a name that is there (link(2), symlink(2)). */
function putHere(kept: string, name: Buffer, called: string): void {
  try {
    fs.linkSync(kept, name);
  } catch (error) {
    if (errno(error) === "EEXIST") throw error;
    // Another file system, or one without links; known by its name, where this run is killed, to who comes next.
    const temporary = Buffer.concat([
      name.subarray(0, name.lastIndexOf("/") + 1),
      Buffer.from(basename(temporaryName(called))),
    ]);
    try {
      copy(kept, temporary);
      fs.linkSync(temporary, name);
    } finally {
      fs.rmSync(temporary, { force: true });
    }
  }
}

function linkOrCopy(path: string, name: string): void {
  const { size } = fs.lstatSync(path);
  if (size <= COPIED_BYTES) {
    // Of a second name an editor that writes in place would change what was kept.
    copy(path, name);
    return;
  }
  try {
    fs.linkSync(path, name);
  } catch {
    copy(path, name);
  }
}

/** A new file with another's bytes, mode, owner and time, synced; or a link to where another leads. Throws the system's error. */
function copy(from: string, to: fs.PathLike): void {
  if (fs.lstatSync(from).isSymbolicLink()) {
    fs.symlinkSync(fs.readlinkSync(from), to);
    return;
  }
  const source = fs.openSync(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { mode, uid, gid, atime, mtime } = fs.fstatSync(source);
    const target = fs.openSync(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      for (const chunk of chunksOf(source)) writeAll(target, chunk);
      fs.fchownSync(target, uid, gid);
      // After the owner: a change of that takes the set-user-ID bits away (chown(2)).
      fs.fchmodSync(target, mode & 0o7777);
      fs.futimesSync(target, atime, mtime);
      fs.fsyncSync(target);
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}

/** The SHA-256 of a plain file's bytes, in hexadecimal, however large it is. Throws the system's error. */
function fileDigest(path: string): string {
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const hash = createHash("sha256");
    for (const chunk of chunksOf(fd)) hash.update(chunk);
    return hash.digest("hex");
  } finally {
    fs.closeSync(fd);
  }
}

/** The bytes of an open file; each chunk is only good until the next. */
function* chunksOf(fd: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let read = 1; read > 0; ) {
    read = fs.readSync(fd, buffer, 0, buffer.length, null);
    if (read > 0) yield buffer.subarray(0, read);
  }
}
