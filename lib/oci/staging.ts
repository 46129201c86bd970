import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { BLOBS_DIR } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { makeDirectory, ownDirectory } from "../host/directories.ts";
import { passing } from "../host/memory.ts";
import { writeAll } from "../host/new-file.ts";
import { abandon, type Downloader, type Get, retryDownload } from "../net/download.ts";
import { type Descriptor, describe, digestHex } from "./descriptor.ts";
import { DirectoryStore } from "./store.ts";

/** A server that sends less in this time is as good as one that sends nothing. */
const STALLED_MS = 60_000;
const STALLED_BYTES = 4 * 1024;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
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
    const used = [BLOBS_DIR, "partial"].some((dir) => fs.readdirSync(join(this.path, dir)).length > 0);
    if (!used) fs.rmSync(this.path, { recursive: true, force: true });
  }

  /** Puts bytes in as a blob. */
  put(mediaType: string, data: Buffer): Descriptor {
    const descriptor = describe(mediaType, data);
    if (!this.has(descriptor)) {
      const { path, fd } = this.begin(`put-${digestHex(descriptor.digest)}`);
      try {
        writeAll(fd, data);
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(path, this.#final(descriptor.digest));
    }
    return descriptor;
  }

  /** Puts a stream of bytes in under whatever digest it turns out to have. */
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
    const digest = `sha256:${hash.digest("hex")}`;
    fs.renameSync(path, this.#final(digest));
    return { mediaType, digest, size };
  }

  /** Opens a new file beside the blobs, which is there only until it is one of them; what an earlier run left of it goes. */
  begin(name: string): { path: string; fd: number } {
    const path = join(this.path, PARTIAL_DIR, name);
    fs.rmSync(path, { force: true });
    return { path, fd: fs.openSync(path, NEW_FILE, 0o600) };
  }

  /** Takes over a file that was made beside the blobs and hashed while it was written. */
  adopt(file: string, digest: string): void {
    fs.renameSync(file, this.#final(digest));
  }

  /**
   * Downloads a blob and verifies it as it streams. What an earlier run got of it is kept and only the rest is asked
   * for. Its `size`, where that is known, and else `limit` is the most that is taken. Throws KubestickError when the bytes
   * are not those of the digest.
   */
  async download(
    downloader: Downloader,
    blob: { digest: string; size?: number; limit?: number; what: string },
    get: () => Promise<Get>,
    progress: (bytes: number) => void,
  ): Promise<number> {
    const partial = this.#partial(blob.digest);
    const limit = blob.size ?? blob.limit;
    let [got, before, latest] = [0, 0, 0];
    const report = (bytes: number) => {
      latest = bytes;
      progress(bytes);
    };
    await retryDownload(
      `${blob.what} (${blob.digest})`,
      async () => {
        const hash = createHash("sha256");
        got = hashFile(partial, hash, limit);
        before = got;
        report(got);
        if (got !== blob.size) got = await this.#receive(downloader, await get(), partial, got, limit, hash, report);
        if (blob.size !== undefined && got < blob.size)
          throw new Error(`the answer ended after ${got} of ${blob.size} bytes`);
        if (hash.digest("hex") === digestHex(blob.digest)) return;
        fs.rmSync(partial, { force: true });
        throw new KubestickError(
          `what was downloaded for ${blob.what} is not ${blob.digest}: its contents are others`,
          {
            code: "damaged",
            hint: "a proxy or mirror changes what it passes on; try another mirror (--registry-mirror) or network",
          },
        );
      },
      () => latest - before >= STALLED_BYTES,
    );
    fs.renameSync(partial, this.#final(blob.digest));
    return got;
  }

  async #receive(
    downloader: Downloader,
    get: Get,
    partial: string,
    from: number,
    limit: number | undefined,
    hash: ReturnType<typeof createHash>,
    progress: (bytes: number) => void,
  ): Promise<number> {
    const range: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await downloader.get({ ...get, headers: { ...get.headers, ...range } });
    if (from > 0 && response.statusCode !== 206) {
      // It knows no ranges: begin again.
      abandon(response);
      fs.rmSync(partial, { force: true });
      throw new Error("the server sends no ranges");
    }
    let got = from;
    let mark = { time: performance.now(), bytes: from };
    const fd = fs.openSync(partial, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        got += chunk.length;
        if (performance.now() - mark.time > STALLED_MS) {
          if (got - mark.bytes < STALLED_BYTES) throw new Error(`it sends less than ${STALLED_BYTES} bytes a minute`);
          mark = { time: performance.now(), bytes: got };
        }
        if (limit !== undefined && got > limit) {
          abandon(response);
          fs.rmSync(partial, { force: true });
          throw new KubestickError(`${get.url} sends more than the ${limit} bytes that it may`);
        }
        hash.update(chunk);
        writeAll(fd, chunk);
        progress(got);
        passing(chunk.length);
      }
    } finally {
      fs.closeSync(fd);
    }
    return got;
  }

  #partial(digest: string): string {
    return join(this.path, PARTIAL_DIR, digestHex(digest));
  }

  #final(digest: string): string {
    return join(this.path, BLOBS_DIR, digestHex(digest));
  }
}

/** Hashes what is there of a file; one longer than it may be is thrown away. */
function hashFile(path: string, hash: ReturnType<typeof createHash>, limit: number | undefined): number {
  const { size } = fs.statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
  if (size === 0 || (limit !== undefined && size > limit)) {
    fs.rmSync(path, { force: true });
    return 0;
  }
  const fd = fs.openSync(path, "r");
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  let got = 0;
  try {
    for (let n = fs.readSync(fd, buffer); n > 0; n = fs.readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, n));
      got += n;
    }
  } finally {
    fs.closeSync(fd);
  }
  return got;
}
