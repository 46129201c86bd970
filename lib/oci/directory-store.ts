import { join } from "node:path";
import { BLOBS_DIR } from "../constants/oci.ts";
import { cannot, errno, KubestickError, reason } from "../errors.ts";
import { PlainFileError, plainFileSize, readPlainFile } from "../host/plain-file.ts";
import { Region } from "../host/region.ts";
import { digestHex } from "./descriptor.ts";
import { LIMITS } from "./limits.ts";
import type { BlobStore } from "./store.ts";

/** The layout in a directory. Only plain files count: what is a device, FIFO or directory there is not there. */
export class DirectoryStore implements BlobStore {
  constructor(readonly path: string) {}

  file(name: string): Buffer | undefined {
    const path = join(this.path, name);
    try {
      return readPlainFile(path, LIMITS.jsonBytes);
    } catch (error) {
      if (errno(error) === "ENOENT") return undefined;
      throw error instanceof PlainFileError
        ? new KubestickError(`cannot use ${path}: ${reason(error)}`)
        : cannot(`read ${path}`, error);
    }
  }

  size(digest: string): number | undefined {
    const path = this.pathOf(digest);
    try {
      return plainFileSize(path);
    } catch (error) {
      throw cannot(`read ${path}`, error);
    }
  }

  *chunks(digest: string): Generator<Buffer> {
    using file = Region.open(this.pathOf(digest));
    yield* file.chunks();
  }

  /** Where a blob lies, or would. */
  pathOf(digest: string): string {
    return join(this.path, BLOBS_DIR, digestHex(digest));
  }
}
