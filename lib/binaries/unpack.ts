import { basename, dirname } from "node:path";
import { createGunzip } from "node:zlib";
import type { HostBinaryKind } from "../constants/host-binaries.ts";
import { DISK_HINTS, errno, KubestickError, reason } from "../errors.ts";
import { makeDirectory } from "../host/directories.ts";
import { noteGarbage } from "../host/memory.ts";
import { NewFile, writeAll } from "../host/new-file.ts";
import { type BlobStore, verifiedChunks } from "../oci/store.ts";
import { TarStream } from "../oci/tar-stream.ts";
import type { HostBinary } from "./host-binary.ts";

/** So much of a gzip stream at a time, which unpacks to a thousand times as much at most. */
const PIECE_BYTES = 32 * 1024;
const UNPACKED_CHUNK_BYTES = 64 * 1024;
const PROGRAM_MODE = 0o755;

/** Where a program goes: given its name, the full path, or undefined where it is to be left out. */
export type Place = (program: string) => string | undefined;

/**
 * Puts a host binary's programs in their places, each whole or not at all, executable, and only when the published
 * file proved to be the one of its digest. Which members of an archive are taken, and under what names, is kubestick's
 * own knowledge and not the archive's. `note` is told the paths when all are on the disk and none is in its place yet,
 * so that a run that is killed knows them again. Gives the paths written. Throws KubestickError.
 */
export async function unpackBinary(
  store: BlobStore,
  binary: HostBinary,
  kind: HostBinaryKind,
  place: Place,
  note: (paths: string[]) => void = () => undefined,
): Promise<string[]> {
  const staged: NewFile[] = [];
  const stage = (program: string) => {
    const target = place(program);
    if (target === undefined) return undefined;
    makeDirectory(dirname(target));
    const file = new NewFile(target);
    staged.push(file);
    return file;
  };
  try {
    if (kind.archive) await unpackArchive(store, binary, kind, stage);
    else if (binary.blob.size > kind.maxBytes)
      throw new KubestickError(
        `${binary.title} has ${binary.blob.size} bytes; the limit for ${kind.name} is ${kind.maxBytes}`,
      );
    else {
      const file = stage(kind.name);
      if (file === undefined) return [];
      for (const chunk of verifiedChunks(store, binary.blob)) writeAll(file.fd, chunk);
      file.seal(PROGRAM_MODE);
    }
    const paths = staged.map(({ target }) => target);
    if (paths.length > 0) note(paths);
    for (const file of staged) file.place();
    return paths;
  } catch (error) {
    for (const file of staged) file.discard();
    if (error instanceof KubestickError) throw error;
    throw new KubestickError(`cannot install ${binary.name} (${binary.title}): ${reason(error)}`, {
      hint: DISK_HINTS[errno(error) ?? ""] ?? "create the bundle again: its archive is damaged",
      cause: error,
    });
  }
}

async function unpackArchive(
  store: BlobStore,
  binary: HostBinary,
  kind: HostBinaryKind,
  stage: (program: string) => NewFile | undefined,
): Promise<void> {
  const wanted = kind.members ?? [];
  const taken = new Set<string>();
  const archive = new TarStream(binary.title, ({ name, type }) => {
    const member = name.replace(/^\.\//, "");
    const take = type === "file" && (wanted === "all" ? /^[A-Za-z0-9_-]+$/.test(member) : wanted.includes(member));
    const file = take && !taken.has(member) ? stage(basename(member)) : undefined;
    if (take) taken.add(member);
    return file && { data: (piece) => writeAll(file.fd, piece), end: () => file.seal(PROGRAM_MODE) };
  });
  await gunzip(verifiedChunks(store, binary.blob), (piece, unpacked) => {
    if (unpacked > kind.maxBytes) throw tooLarge(binary, kind);
    archive.write(piece);
    return !archive.ended;
  });
  archive.finish();
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
    noteGarbage(piece.length);
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

function tooLarge({ title }: HostBinary, { name, maxBytes }: HostBinaryKind): KubestickError {
  return new KubestickError(`${title} unpacks to more than ${maxBytes} bytes, which is the limit for ${name}`, {
    hint: "create the bundle with the file as upstream publishes it",
  });
}
