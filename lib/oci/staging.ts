import { join } from "node:path";
import { BLOBS_DIR } from "../constants/oci.ts";
import { isEmptyDirectory, makeDirectory, ownDirectory } from "../host/directories.ts";
import { PartialFile } from "../host/partial-file.ts";
import { removeTree } from "../host/remove.ts";
import { type BlobRef, type Descriptor, describe, digestHex, digestOfHex } from "./descriptor.ts";
import { DirectoryStore } from "./directory-store.ts";

const PARTIAL_DIR = "partial";

/**
 * Blobs on their way into a bundle, in a directory that outlives an interrupted run. Only its owner can enter it, so what
 * is there was verified when it came; whoever makes the bundle holds its lock. Throws KubestickError when the directory is
 * somebody else's.
 */
export class Staging extends DirectoryStore {
  constructor(path: string) {
    super(path);
    ownDirectory(path, 0o700);
    makeDirectory(join(path, BLOBS_DIR));
    makeDirectory(join(path, PARTIAL_DIR));
  }

  /** Whether a blob of this length is there; what is there was verified when it came. */
  has({ digest, size }: BlobRef): boolean {
    return this.size(digest) === size;
  }

  /** Removes the directory when nothing has come into it, so that a run that never began leaves nothing. */
  removeIfEmpty(): void {
    if ([BLOBS_DIR, PARTIAL_DIR].every((name) => isEmptyDirectory(join(this.path, name)))) removeTree(this.path);
  }

  /** Puts bytes in as a blob. */
  put(mediaType: string, data: Buffer): Descriptor {
    const descriptor = describe(mediaType, data);
    if (!this.has(descriptor)) this.putStream([data], `put-${digestHex(descriptor.digest)}`);
    return descriptor;
  }

  /** Puts a stream of bytes in, and gives the digest that it turns out to have; `name` is that of the file meanwhile. */
  putStream(chunks: Iterable<Buffer>, name: string): string {
    using file = this.begin(name);
    for (const chunk of chunks) file.write(chunk);
    return this.adopt(file);
  }

  /** Opens a new file beside the blobs, which is there only until it is one of them; what an earlier run left of it goes. */
  begin(name: string): PartialFile {
    return PartialFile.begin(join(this.path, PARTIAL_DIR, name));
  }

  /** Opens what an earlier run got of a blob, to go on with it, unless that has more than `limit` bytes. */
  resume(digest: string, limit: number | undefined): PartialFile {
    return PartialFile.resume(join(this.path, PARTIAL_DIR, digestHex(digest)), limit);
  }

  /** Takes a file over that was made beside the blobs, and gives its digest. */
  adopt(file: PartialFile): string {
    const digest = digestOfHex(file.sha256());
    file.place(this.pathOf(digest));
    return digest;
  }
}
