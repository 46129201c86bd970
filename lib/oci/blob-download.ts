import { KubestickError } from "../errors.ts";
import { noteGarbage } from "../host/memory.ts";
import type { PartialFile } from "../host/partial-file.ts";
import type { Downloader, Get } from "../net/download.ts";
import { CannotResumeError } from "../net/failures.ts";
import { digestHex } from "./descriptor.ts";
import type { Staging } from "./staging.ts";

/** A blob that is downloaded. */
export interface BlobDownload {
  digest: string;
  /** Its length in bytes, where that is known. */
  size?: number;
  /** The most bytes that are taken, where its length is not known. */
  limit?: number;
  /** What it is, for messages. */
  what: string;
}

/**
 * Downloads a blob into the staging directory and verifies it as it streams. What an earlier run got of it is kept, and only
 * the rest is asked for; `progress` hears of the bytes that are there. Throws HttpError for another answer than the blob, and
 * KubestickError when the bytes are not those of the digest.
 */
export async function downloadBlob(
  downloader: Downloader,
  get: Get,
  blob: BlobDownload,
  staging: Staging,
  progress: (bytes: number) => void,
): Promise<void> {
  const limit = blob.size ?? blob.limit;
  const isWhole = (file: PartialFile) => file.sha256() === digestHex(blob.digest);
  using file = staging.resume(blob.digest, limit);
  progress(file.size);
  const kept = file.size;
  const receive = () => downloader.startOver(() => append(downloader, get, { ...blob, limit }, file, progress));
  if (!isWhole(file) && file.size !== blob.size) await receive();
  if (!isWhole(file) && kept > 0) {
    // Perhaps the fault is in what was kept: a power cut leaves zeros.
    file.restart();
    await receive();
  }
  if (isWhole(file)) {
    staging.adopt(file);
    return;
  }
  file.discard();
  throw new KubestickError(`the download of ${blob.what} does not match ${blob.digest}`, {
    code: "damaged",
    hint: "a proxy or mirror changes what it passes on; try another mirror (--registry-mirror) or network",
  });
}

async function append(
  downloader: Downloader,
  get: Get,
  { digest, size, limit, what }: BlobDownload,
  file: PartialFile,
  progress: (bytes: number) => void,
): Promise<void> {
  try {
    const { from, chunks } = await downloader.file(get, `${what} (${digest})`, { from: file.size, size });
    // A server that knows no ranges sends all of it.
    if (from !== file.size) file.restart();
    for await (const chunk of chunks) {
      if (limit !== undefined && file.size + chunk.length > limit) {
        file.discard();
        throw new KubestickError(`${get.url} sends more than the ${limit} bytes that it may`);
      }
      file.write(chunk);
      progress(file.size);
      noteGarbage(chunk.length);
    }
  } catch (error) {
    if (error instanceof CannotResumeError) file.restart();
    throw error;
  }
}
