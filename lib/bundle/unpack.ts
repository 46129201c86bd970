import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Parser } from "tar";
import type { HostBinaryKind } from "../constants/host-binaries.ts";
import { DISK_HINTS, errno, KubestickError, reason } from "../host/errors.ts";
import { writeAll } from "../host/files.ts";
import type { LayoutBinary } from "./layout.ts";
import { type BlobStore, verifiedChunks, verifiedStream } from "./store.ts";

/** More than all programs of one archive together; a larger one is a decompression bomb. */
const MAX_UNPACKED_BYTES = 2 * 1024 ** 3;

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
  let unpacked = 0;
  let failure: unknown;
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      const member = entry.path.replace(/^\.\//, "");
      const take =
        entry.type === "File" && (wanted === "all" ? /^[A-Za-z0-9_-]+$/.test(member) : wanted.includes(member));
      const fd = take && !taken.has(member) ? stage(basename(member)) : undefined;
      if (take) taken.add(member);
      if (fd === undefined) {
        entry.resume();
        return;
      }
      entry.on("data", (chunk: Buffer) => {
        try {
          writeAll(fd, chunk);
        } catch (error) {
          failure ??= error;
        }
      });
      entry.on("end", () => {
        try {
          finish(fd);
        } catch (error) {
          failure ??= error;
        } finally {
          fs.closeSync(fd);
        }
      });
    },
  });
  const ended = new Promise<void>((resolve, reject) => {
    parser.on("end", resolve);
    parser.on("error", reject);
  });
  // Nobody waits for it while the pipeline below is the first to fail.
  ended.catch(() => undefined);
  await pipeline(verifiedStream(store, binary.blob), createGunzip(), async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      unpacked += chunk.length;
      if (unpacked > MAX_UNPACKED_BYTES)
        throw new KubestickError(`${binary.title} unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
      parser.write(chunk);
      if (failure !== undefined) throw failure;
    }
  });
  parser.end();
  await ended;
  if (failure !== undefined) throw failure;
  const missing = wanted === "all" ? [] : wanted.filter((member) => !taken.has(member));
  if (missing.length > 0 || taken.size === 0)
    throw new KubestickError(`${binary.title} has no ${missing.join(", ") || "programs"}`, {
      hint: "create the bundle with the file as upstream publishes it",
    });
}

function finish(fd: number): void {
  fs.fchmodSync(fd, 0o755);
  fs.fsyncSync(fd);
}
