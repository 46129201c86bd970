import { Header } from "tar";
import { BLOBS_DIR, INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION } from "../constants/oci.ts";
import { type BlobRef, digestHex } from "./descriptor.ts";
import { type BlobStore, verifiedChunks } from "./store.ts";
import { BLOCK } from "./tar-header.ts";

/** The end mark of a tar: two blocks of zeros. */
const END = Buffer.alloc(2 * BLOCK);

/**
 * An image layout (OCI image-spec 1.1 image-layout.md) as a tar, a chunk at a time, each valid until the next but one; every
 * blob is verified as it passes. No owners, times or other accidents go in. Throws KubestickError for a blob that is missing
 * or damaged.
 */
export function* layoutTar(index: Buffer, blobs: BlobRef[], store: BlobStore): Generator<Buffer> {
  const version = Buffer.from(JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION }));
  for (const [name, data] of [
    [LAYOUT_FILE, version],
    [INDEX_FILE, index],
  ] as const)
    yield* member(name, data.length, [data]);
  for (const blob of blobs)
    yield* member(`${BLOBS_DIR}/${digestHex(blob.digest)}`, blob.size, verifiedChunks(store, blob));
  yield END;
}

function* member(name: string, size: number, chunks: Iterable<Buffer>): Generator<Buffer> {
  const header = Buffer.alloc(BLOCK);
  new Header({ path: name, mode: 0o644, uid: 0, gid: 0, size, mtime: new Date(0), type: "File" }).encode(header, 0);
  yield header;
  yield* chunks;
  yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
