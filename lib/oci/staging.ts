import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { BLOBS_DIR } from "../constants/oci.ts";
import { makeDirectory, ownDirectory } from "../host/directories.ts";
import { writeAll } from "../host/new-file.ts";
import { type Descriptor, describe, digestHex, digestOfHex } from "./descriptor.ts";
import { DirectoryStore } from "./directory-store.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
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
  has(descriptor: Pick<Descriptor, "digest" | "size">): boolean {
    return this.size(descriptor.digest) === descriptor.size;
  }

  /** Removes the directory when nothing has come into it, so that a run that never began leaves nothing. */
  removeIfEmpty(): void {
    if (!fs.existsSync(this.path)) return;
    const used = [BLOBS_DIR, PARTIAL_DIR].some((dir) => fs.readdirSync(join(this.path, dir)).length > 0);
    if (!used) fs.rmSync(this.path, { recursive: true, force: true });
  }

  /** Puts bytes in as a blob. */
  put(mediaType: string, data: Buffer): Descriptor {
    const descriptor = describe(mediaType, data);
    return this.has(descriptor) ? descriptor : this.putStream(mediaType, [data], `put-${digestHex(descriptor.digest)}`);
  }

  /** Puts a stream of bytes in under whatever digest it turns out to have; `name` is that of the file meanwhile. */
  putStream(mediaType: string, chunks: Iterable<Buffer>, name: string): Descriptor {
    const { path, fd } = this.begin(name);
    const hash = createHash("sha256");
    let size = 0;
    try {
      for (const chunk of chunks) {
        hash.update(chunk);
        writeAll(fd, chunk);
        size += chunk.length;
      }
    } finally {
      fs.closeSync(fd);
    }
    const digest = digestOfHex(hash.digest("hex"));
    this.adopt(path, digest);
    return { mediaType, digest, size };
  }

  /** Opens a new file beside the blobs, which is there only until it is one of them; what an earlier run left of it goes. */
  begin(name: string): { path: string; fd: number } {
    const path = this.partial(name);
    fs.rmSync(path, { force: true });
    return { path, fd: fs.openSync(path, NEW_FILE, 0o600) };
  }

  /** Takes over a file that was made beside the blobs and hashed while it was written. */
  adopt(file: string, digest: string): void {
    fs.renameSync(file, this.pathOf(digest));
  }

  /** Where a file lies that is to become a blob. */
  partial(name: string): string {
    return join(this.path, PARTIAL_DIR, name);
  }
}
