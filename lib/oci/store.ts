import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { KubestickError } from "../errors.ts";
import { type BlobRef, digestHex } from "./descriptor.ts";
import { LIMITS } from "./limits.ts";

/** Blobs by digest, and the two files beside them: an OCI image layout, wherever it lies. */
export interface BlobStore {
  /** What it is, for messages. */
  readonly path: string;
  /** The bytes of `oci-layout` or `index.json`; undefined where it is not there. */
  file(name: string): Buffer | undefined;
  /** A blob's length in bytes; undefined where it is not there. */
  size(digest: string): number | undefined;
  /** A blob's bytes, a chunk at a time, not verified; each chunk is valid until the next but one. */
  chunks(digest: string): Iterable<Buffer>;
}

/** A small blob, such as a manifest, verified. Throws KubestickError when it is missing, too large, or not what its digest says. */
export function readJsonBlob(store: BlobStore, { digest, size }: BlobRef): Buffer {
  if (size > LIMITS.jsonBytes)
    throw new KubestickError(
      `${store.path}: ${digest} is too large for what it is (${size} bytes; the limit is ${LIMITS.jsonBytes})`,
    );
  return Buffer.concat(Array.from(verifiedChunks(store, { digest, size }), (chunk) => Buffer.from(chunk)));
}

/** A blob's bytes, a chunk at a time; its length is checked before and its digest after the last. Throws KubestickError. */
export function* verifiedChunks(store: BlobStore, { digest, size }: BlobRef): Generator<Buffer> {
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
    throw new KubestickError(`${store.path} is damaged: blob ${digest} does not match its digest`, {
      code: "damaged",
      hint,
    });
}

/** A blob's bytes as a stream, verified as `verifiedChunks` does. */
export function verifiedStream(store: BlobStore, blob: BlobRef): Readable {
  // A chunk's buffer is used again, and a stream holds several.
  const copies = function* () {
    for (const chunk of verifiedChunks(store, blob)) yield Buffer.from(chunk);
  };
  return Readable.from(copies(), { objectMode: false, highWaterMark: 1 });
}
