import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { createGunzip } from "node:zlib";
import type { HostBinaryKind } from "../constants/host-binaries.ts";
import { DISK_HINTS, errno, KubestickError, reason } from "../host/errors.ts";
import { writeAll } from "../host/files.ts";
import { passing } from "../host/memory.ts";
import type { LayoutBinary } from "./layout.ts";
import { type BlobStore, verifiedChunks } from "./store.ts";
import { TarStream } from "./tar-stream.ts";

/** So much of a gzip stream at a time, which unpacks to a thousand times as much at most. */
const PIECE_BYTES = 32 * 1024;
const UNPACKED_CHUNK_BYTES = 64 * 1024;

/** Where a program goes: given its name, the full path, or undefined where it is to be left out. */
export type Place = (program: string) => string | undefined;

/**
 * Puts a host binary's programs in their places, each whole or not at all, executable, and only when the published
 * file proved to be the one of its digest. Which members of an archive are taken, and under what names, is kubestick's
 * own knowledge and not the archive's. Gives the paths written. Throws KubestickError.
 */
export async function unpackBinary(
  store: BlobStore,
  binary: LayoutBinary,
  kind: HostBinaryKind,
  place: Place,
): Promise<string[]> {
  const staged: { temporary: string; target: string }[] = [];
  const stage = (program: string) => {
    const target = place(program);
    if (target === undefined) return undefined;
    fs.mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    const temporary = join(dirname(target), `.${basename(target)}.kubestick`);
    fs.rmSync(temporary, { force: true });
    staged.push({ temporary, target });
    return fs.openSync(temporary, "wx", 0o755);
  };
  try {
    if (kind.archive) await unpackArchive(store, binary, kind, stage);
    else if (binary.blob.size > kind.maxBytes)
      throw new KubestickError(
        `${binary.title} has ${binary.blob.size} bytes; the limit for ${kind.name} is ${kind.maxBytes}`,
      );
    else {
      const fd = stage(kind.name);
      if (fd === undefined) return [];
      try {
        for (const chunk of verifiedChunks(store, binary.blob)) writeAll(fd, chunk);
        finish(fd);
      } finally {
        fs.closeSync(fd);
      }
    }
    for (const { temporary, target } of staged) fs.renameSync(temporary, target);
    return staged.map(({ target }) => target);
  } catch (error) {
    for (const { temporary } of staged) fs.rmSync(temporary, { force: true });
    if (error instanceof KubestickError) throw error;
    throw new KubestickError(`cannot install ${binary.name} (${binary.title}): ${reason(error)}`, {
      hint: DISK_HINTS[errno(error) ?? ""] ?? "create the bundle again: its archive is damaged",
      cause: error,
    });
  }
}

async function unpackArchive(
  store: BlobStore,
  binary: LayoutBinary,
  kind: HostBinaryKind,
  stage: (program: string) => number | undefined,
): Promise<void> {
  const wanted = kind.members ?? [];
  const taken = new Set<string>();
  const open = new Set<number>();
  const archive = new TarStream(binary.title, ({ name, type }) => {
    const member = name.replace(/^\.\//, "");
    const take = type === "file" && (wanted === "all" ? /^[A-Za-z0-9_-]+$/.test(member) : wanted.includes(member));
    const fd = take && !taken.has(member) ? stage(basename(member)) : undefined;
    if (take) taken.add(member);
    if (fd === undefined) return undefined;
    open.add(fd);
    return {
      data: (piece) => writeAll(fd, piece),
      end: () => {
        finish(fd);
        open.delete(fd);
        fs.closeSync(fd);
      },
    };
  });
  try {
    await gunzip(verifiedChunks(store, binary.blob), (piece, unpacked) => {
      if (unpacked > kind.maxBytes) throw tooLarge(binary, kind);
      archive.write(piece);
      return !archive.ended;
    });
    archive.finish();
  } finally {
    for (const fd of open) fs.closeSync(fd);
  }
  const missing = wanted === "all" ? [] : wanted.filter((member) => !taken.has(member));
  if (missing.length > 0 || taken.size === 0)
    throw new KubestickError(`${binary.title} has no ${missing.join(", ") || "programs"}`, {
      hint: "create the bundle with the file as upstream publishes it",
    });
}

/**
 * Unpacks a gzip stream as far as it is wanted: `take` gets each piece and the length so far, and says whether it wants
 * more. The chunks are read to their end all the same, so that their digest is checked. Throws what any of them throws.
 */
async function gunzip(chunks: Iterable<Buffer>, take: (piece: Buffer, unpacked: number) => boolean): Promise<void> {
  const stream = createGunzip({ chunkSize: UNPACKED_CHUNK_BYTES });
  const failures: unknown[] = [];
  let [more, unpacked] = [true, 0];
  stream.on("error", (error) => void failures.push(error));
  stream.on("data", (piece: Buffer) => {
    if (failures.length > 0 || !more) return;
    unpacked += piece.length;
    passing(piece.length);
    try {
      more = take(piece, unpacked);
    } catch (error) {
      failures.push(error);
    }
  });
  const done = (begin: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      const end = () => {
        stream.off("close", end);
        resolve();
      };
      stream.on("close", end);
      begin(end);
    });
  try {
    for (const chunk of chunks)
      for (let at = 0; at < chunk.length && more && failures.length === 0; at += PIECE_BYTES)
        await done((end) => stream.write(chunk.subarray(at, at + PIECE_BYTES), end));
    if (more && failures.length === 0) await done((end) => stream.once("end", end).end());
    if (failures.length > 0) throw failures[0];
  } finally {
    stream.destroy();
  }
}

function tooLarge({ title }: LayoutBinary, { name, maxBytes }: HostBinaryKind): KubestickError {
  return new KubestickError(`${title} unpacks to more than ${maxBytes} bytes, which is the limit for ${name}`, {
    hint: "create the bundle with the file as upstream publishes it",
  });
}

function finish(fd: number): void {
  fs.fchmodSync(fd, 0o755);
  fs.fsyncSync(fd);
}
