import * as fs from "node:fs";
import { errno } from "../errors.ts";

/** Bytes that no configuration, kubeconfig, certificate, patch or key comes near: what is larger is another kind of file. */
const MAX_PLAIN_FILE = 16 * 1024 * 1024;

const CHUNK = 64 * 1024;

/** A file that is there and is not what was asked for: no plain file, or too large. `message` says which, without the path. */
export class PlainFileError extends Error {
  override name = "PlainFileError";
}

/**
 * The bytes of a plain file. Devices, FIFOs, sockets and directories are refused before a byte is read, and without
 * waiting for whoever holds a FIFO's other end; so is a file of more than `limit` bytes, whatever size it tells (files
 * in /proc tell 0). Symbolic links are followed. Throws PlainFileError, or the system's error (ENOENT, EACCES, …).
 */
export function readPlainFile(path: string, limit: number = MAX_PLAIN_FILE): Buffer {
  // Looked at first: opening a device can do something (a watchdog starts to count).
  refuseOthers(fs.statSync(path), limit);
  // And again once it is open, in case it has changed; a FIFO without a writer would hold a plain open for ever.
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  try {
    const stat = fs.fstatSync(fd);
    refuseOthers(stat, limit);
    const chunks: Buffer[] = [];
    for (let total = 0; ; ) {
      const chunk = Buffer.allocUnsafe(Math.min(limit + 1 - total, Math.max(CHUNK, stat.size + 1 - total)));
      const read = fs.readSync(fd, chunk, 0, chunk.length, null);
      if (read === 0) return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      total += read;
      if (total > limit) throw tooLarge(limit);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** The length of a plain file in bytes, links followed; undefined where there is none. Throws the system's error where it cannot tell. */
export function plainFileSize(path: string): number | undefined {
  try {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() ? stat.size : undefined;
  } catch (error) {
    // Links that lead nowhere, or round in a circle.
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errno(error) ?? "")) return undefined;
    throw error;
  }
}

/** The text of a plain file, as UTF-8; the rest as readPlainFile. */
export const readPlainText = (path: string, limit?: number): string => readPlainFile(path, limit).toString("utf8");

function refuseOthers(stat: fs.Stats, limit: number): void {
  if (!stat.isFile()) throw new PlainFileError(`it is ${kindOf(stat)}, not a plain file`);
  if (stat.size > limit) throw tooLarge(limit);
}

function kindOf(stat: fs.Stats): string {
  if (stat.isDirectory()) return "a directory";
  if (stat.isFIFO()) return "a FIFO";
  if (stat.isSocket()) return "a socket";
  return "a device";
}

const tooLarge = (limit: number) =>
  new PlainFileError(
    `it is larger than ${limit < 1024 * 1024 ? `${limit / 1024} KiB` : `${limit / (1024 * 1024)} MiB`}`,
  );
