import { BLOBS_DIR } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { Region } from "../host/region.ts";
import { digestHex } from "./descriptor.ts";
import { LIMITS } from "./limits.ts";
import type { BlobStore } from "./store.ts";
import { indexTar, type TarEntry } from "./tar-index.ts";

const KINDS = { file: "a file", directory: "a directory", symlink: "a symlink", other: "a special file" };
const DIRECTORY = /^(|blobs\/?|blobs\/sha256\/?)$/;
const FILE = /^(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/;

/**
 * The layout in a tar. Only the names that an image layout has are taken: a member with any other name, a link or a
 * device, and a name given twice are refused. With `foreign`, for archives that other tools made, they are passed over.
 * `members` are those of the tar, where they have been listed already. Throws KubestickError.
 */
export class TarStore implements BlobStore {
  readonly path: string;
  readonly #region: Region;
  readonly #entries = new Map<string, TarEntry>();

  constructor(region: Region, options: { foreign?: boolean; members?: TarEntry[] } = {}) {
    this.path = region.path;
    this.#region = region;
    for (const entry of options.members ?? indexTar(region)) {
      const name = entry.name.replace(/^\.\//, "");
      if (entry.type === "directory" && DIRECTORY.test(name)) continue;
      const known = entry.type === "file" && FILE.test(name);
      if (!known && options.foreign) continue;
      if (!known)
        throw new KubestickError(
          `${region.path} is no bundle: it has ${KINDS[entry.type]} named ${quoted(entry.name)}`,
          {
            hint: `make one of it: kubestick bundle create FILE.tar --from ${region.path}`,
          },
        );
      // An archive that was added to has a blob again; whichever is taken must have its digest.
      if (this.#entries.has(name) && !(options.foreign && name.startsWith(BLOBS_DIR)))
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
    return this.#blob(digest)?.size;
  }

  chunks(digest: string): Iterable<Buffer> {
    const { offset, size } = this.#blob(digest)!;
    return this.#region.chunks(offset, size);
  }

  /** Where a blob lies in the file itself, in bytes, for reading it another way; undefined where it is not there. */
  extent(digest: string): { offset: number; size: number } | undefined {
    const entry = this.#blob(digest);
    return entry && { offset: this.#region.offset + entry.offset, size: entry.size };
  }

  #blob(digest: string): TarEntry | undefined {
    return this.#entries.get(`${BLOBS_DIR}/${digestHex(digest)}`);
  }
}

const quoted = (name: string) => JSON.stringify(name.slice(0, 300));
