import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { BLOBS_DIR, type INDEX_FILE, type LAYOUT_FILE } from "../constants/oci.ts";
import { KubestickError } from "../host/errors.ts";
import { type Descriptor, digestHex } from "./descriptor.ts";
import { Region } from "./region.ts";
import { indexTar, type TarEntry } from "./tar.ts";

/** Manifests and indexes are small; a larger one is made to exhaust memory (containerd has the same limit). */
export const MAX_JSON_BYTES = 8 * 1024 * 1024;

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

/** A blob that is JSON, verified. Throws KubestickError when it is missing, too large, or not what its digest says. */
export function readJsonBlob(store: BlobStore, descriptor: Descriptor): Buffer {
  if (descriptor.size > MAX_JSON_BYTES)
    throw new KubestickError(
      `${store.path}: ${descriptor.digest} is too large for a manifest (${descriptor.size} bytes)`,
    );
  return Buffer.concat(Array.from(verifiedChunks(store, descriptor), (chunk) => Buffer.from(chunk)));
}

/** A blob's bytes, a chunk at a time; its length is checked before and its digest after the last. Throws KubestickError. */
export function* verifiedChunks(
  store: BlobStore,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
): Generator<Buffer> {
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
    throw new KubestickError(`${store.path} is damaged: the blob ${digest} has other contents`, { hint });
}

/** A blob's bytes as a stream, verified as `verifiedChunks` does. */
export function verifiedStream(store: BlobStore, blob: Pick<Descriptor, "digest" | "size">): Readable {
  // A chunk's buffer is used again, and a stream holds several.
  const copies = function* () {
    for (const chunk of verifiedChunks(store, blob)) yield Buffer.from(chunk);
  };
  return Readable.from(copies(), { objectMode: false, highWaterMark: 1 });
}

/**
 * The layout in a tar. Only the names that an image layout has are taken: a member with any other name, a link or a
 * device, and a name given twice are refused. With `others`, for archives that other tools made, they are passed over.
 */
export class TarStore implements BlobStore {
  readonly path: string;
  readonly #region: Region;
  readonly #entries = new Map<string, TarEntry>();

  constructor(region: Region, options: { others?: boolean } = {}) {
    this.path = region.path;
    this.#region = region;
    for (const entry of indexTar(region)) {
      const name = entry.name.replace(/^\.\//, "");
      if (entry.type === "directory" && /^(|blobs\/?|blobs\/sha256\/?)$/.test(name)) continue;
      const known = entry.type === "file" && /^(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/.test(name);
      if (!known && options.others) continue;
      if (!known)
        throw new KubestickError(
          `${region.path} is no bundle: it has ${entry.type === "file" ? "a file" : `a ${entry.type === "other" ? "special file" : entry.type}`} named ${JSON.stringify(entry.name)}`,
          { hint: "make bundles with: kubestick bundle create" },
        );
      if (this.#entries.has(name)) throw new KubestickError(`${region.path} is no bundle: it has ${name} twice`);
      this.#entries.set(name, entry);
    }
  }

  file(name: string): Buffer | undefined {
    const entry = this.#entries.get(name);
    if (entry && entry.size > MAX_JSON_BYTES) throw new KubestickError(`${this.path}: its ${name} is too large`);
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

/** The layout in a directory. */
export class DirectoryStore implements BlobStore {
  constructor(readonly path: string) {}

  file(name: typeof INDEX_FILE | typeof LAYOUT_FILE): Buffer | undefined {
    const path = join(this.path, name);
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (stat.size > MAX_JSON_BYTES) throw new KubestickError(`${path} is too large`);
    return fs.readFileSync(path);
  }

  size(digest: string): number | undefined {
    return fs.statSync(this.#blob(digest), { throwIfNoEntry: false })?.size;
  }

  *chunks(digest: string): Generator<Buffer> {
    const fd = fs.openSync(this.#blob(digest), "r");
    try {
      const { size } = fs.fstatSync(fd);
      yield* new Region(fd, this.#blob(digest), 0, size).chunks(0, size);
    } finally {
      fs.closeSync(fd);
    }
  }

  #blob(digest: string): string {
    return join(this.path, BLOBS_DIR, digestHex(digest));
  }
}
