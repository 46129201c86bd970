import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { BLOBS_DIR, type INDEX_FILE, type LAYOUT_FILE } from "../constants/oci.ts";
import { DISK_HINTS, errno, KubestickError, reason } from "../errors.ts";
import { PlainFileError, readPlainFile } from "../host/plain-file.ts";
import { type Descriptor, digestHex } from "./descriptor.ts";
import { LIMITS } from "./limits.ts";
import { Region } from "./region.ts";
import { indexTar, type TarEntry } from "./tar.ts";

/** Blobs by digest, and the two files beside them: an OCI image layout, wherever it lies. */
export interface BlobStore {
  /** What it is, for messages. */
  readonly path: string;
  /** The bytes of `oci-layout` or `index.json`. */
  file(name: string): Buffer | undefined;
  /** A blob's length in bytes; undefined where it is not there. */
  size(digest: string): number | undefined;
  /** A blob's bytes, a chunk at a time, not verified; each chunk is valid until the next but one. */
  chunks(digest: string): Iterable<Buffer>;
}

/** Of a descriptor, what it takes to find a blob and to check it. */
type Blob = Pick<Descriptor, "digest" | "size"> & Partial<Descriptor>;

/** Manifests, indexes and configs are small. */
export const MAX_JSON_BYTES = LIMITS.jsonBytes;

/** A small blob, such as a manifest, verified. Throws KubestickError when it is missing, too large, or not what its digest says. */
export function readJsonBlob(store: BlobStore, { digest, size }: Blob): Buffer {
  if (size > MAX_JSON_BYTES)
    throw new KubestickError(
      `${store.path}: ${digest} is too large for what it is (${size} bytes; the limit is ${MAX_JSON_BYTES})`,
    );
  return Buffer.concat(Array.from(verifiedChunks(store, { digest, size }), (chunk) => Buffer.from(chunk)));
}

/** A blob's bytes, a chunk at a time; its length is checked before and its digest after the last. Throws KubestickError. */
export function* verifiedChunks(store: BlobStore, { digest, size }: Blob): Generator<Buffer> {
  const found = store.size(digest);
  const hint = "copy or create the bundle again";
  if (found === undefined) throw new KubestickError(`${store.path} lacks the blob ${digest}`, { hint });
  if (found !== size)
    throw new KubestickError(`${store.path}: the blob ${digest} has ${found} bytes, not ${size}`, { hint });
  const hash = createHash("sha256");
  for (const chunk of store.chunks(digest)) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== digestHex(digest))
    throw new KubestickError(`${store.path} is damaged: the blob ${digest} has other contents`, {
      code: "damaged",
      hint,
    });
}

/** A blob's bytes as a stream, verified as `verifiedChunks` does. */
export function verifiedStream(store: BlobStore, blob: Blob): Readable {
  // A chunk's buffer is used again, and a stream holds several.
  const copies = function* () {
    for (const chunk of verifiedChunks(store, blob)) yield Buffer.from(chunk);
  };
  return Readable.from(copies(), { objectMode: false, highWaterMark: 1 });
}

/**
 * The layout in a tar. Only the names that an image layout has are taken: a member with any other name, a link or a
 * device, and a name given twice are refused. With `others`, for archives that other tools made, they are passed over.
 * `members` are those of the tar, where they have been listed already.
 */
export class TarStore implements BlobStore {
  readonly path: string;
  readonly #region: Region;
  readonly #entries = new Map<string, TarEntry>();

  constructor(region: Region, options: { others?: boolean; members?: TarEntry[] } = {}) {
    this.path = region.path;
    this.#region = region;
    for (const entry of options.members ?? indexTar(region)) {
      const name = entry.name.replace(/^\.\//, "");
      if (entry.type === "directory" && /^(|blobs\/?|blobs\/sha256\/?)$/.test(name)) continue;
      const known = entry.type === "file" && /^(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/.test(name);
      if (!known && options.others) continue;
      if (!known)
        throw new KubestickError(
          `${region.path} is no bundle: it has ${entry.type === "file" ? "a file" : `a ${entry.type === "other" ? "special file" : entry.type}`} named ${JSON.stringify(entry.name.slice(0, 300))}`,
          { hint: `make one of it: kubestick bundle create FILE.tar --from ${region.path}` },
        );
      // An archive that was added to has a blob again; whichever is taken must have its digest.
      if (this.#entries.has(name) && !(options.others && name.startsWith(BLOBS_DIR)))
        throw new KubestickError(`${region.path} is no bundle: it has ${name} twice`);
      this.#entries.set(name, entry);
    }
  }

  file(name: string): Buffer | undefined {
    const entry = this.#entries.get(name);
    if (entry && entry.size > LIMITS.jsonBytes)
      throw new KubestickError(`${this.path}: its ${name} is larger than ${LIMITS.jsonBytes} bytes`);
    return entry && Buffer.from(this.#region.read(entry.offset, entry.size));
  }

  size(digest: string): number | undefined {
    return this.#entries.get(`${BLOBS_DIR}/${digestHex(digest)}`)?.size;
  }

  chunks(digest: string): Iterable<Buffer> {
    const entry = this.#entries.get(`${BLOBS_DIR}/${digestHex(digest)}`)!;
    return this.#region.chunks(entry.offset, entry.size);
  }

  /** Where a blob lies in the file itself, for reading it another way. */
  extent(digest: string): { offset: number; size: number } | undefined {
    const entry = this.#entries.get(`${BLOBS_DIR}/${digestHex(digest)}`);
    return entry && { offset: this.#region.offset + entry.offset, size: entry.size };
  }
}

/** The layout in a directory. Only plain files count: what is a device, FIFO or directory there is not there. */
export class DirectoryStore implements BlobStore {
  constructor(readonly path: string) {}

  file(name: typeof INDEX_FILE | typeof LAYOUT_FILE): Buffer | undefined {
    const path = join(this.path, name);
    try {
      return readPlainFile(path, LIMITS.jsonBytes);
    } catch (error) {
      if (errno(error) === "ENOENT") return undefined;
      throw error instanceof PlainFileError
        ? new KubestickError(`cannot use ${path}: ${reason(error)}`)
        : cannotRead(path, error);
    }
  }

  size(digest: string): number | undefined {
    const path = this.#blob(digest);
    try {
      const stat = fs.statSync(path, { throwIfNoEntry: false });
      return stat?.isFile() ? stat.size : undefined;
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errno(error) ?? "")) return undefined;
      throw cannotRead(path, error);
    }
  }

  *chunks(digest: string): Generator<Buffer> {
    const path = this.#blob(digest);
    let fd: number;
    try {
      fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    } catch (error) {
      throw cannotRead(path, error);
    }
    try {
      const { size } = fs.fstatSync(fd);
      yield* new Region(fd, path, 0, size).chunks(0, size);
    } finally {
      fs.closeSync(fd);
    }
  }

  #blob(digest: string): string {
    return join(this.path, BLOBS_DIR, digestHex(digest));
  }
}

function cannotRead(path: string, error: unknown): KubestickError {
  return new KubestickError(`cannot read ${path}: ${reason(error)}`, {
    hint: DISK_HINTS[errno(error) ?? ""],
    cause: error,
  });
}
