import { KubestickError } from "../errors.ts";
import { digestHex } from "../oci/descriptor.ts";
import type { Staging } from "../oci/staging.ts";
import type { BlobStore } from "../oci/store.ts";
import { inParallel } from "../util/pool.ts";
import { AT_ONCE, notLocal, type Plan, type Progress, type Sources } from "./sources.ts";

/** A blob that is to be staged. */
export interface Wanted {
  digest: string;
  /** Bytes, where they are known. */
  size?: number;
  /** Asks for the length of what is downloaded; undefined where its server does not tell. */
  length?: () => Promise<number | undefined>;
  /** Downloads it into the staging directory; `progress` hears of the bytes done. */
  fetch: (progress: (bytes: number) => void) => Promise<unknown>;
  /** What it is, for messages. */
  what: string;
}

/**
 * Stages blobs, several at a time: from local content where that has them, else by their `fetch`. Throws KubestickError;
 * what was staged stays for the next run.
 */
export async function stageBlobs(wanted: Wanted[], sources: Sources): Promise<void> {
  const { staging, local, offline, progress } = sources;
  const all = [...new Map(wanted.map((w) => [w.digest, w])).values()];
  const plan = await planOf(all, sources);
  sources.planned?.(plan);
  const state: Progress = { files: all.length, filesDone: 0, bytesDone: 0, bytes: plan.total };
  await inParallel(all, AT_ONCE, async (item) => {
    let seen = 0;
    const report = (bytes: number) => {
      state.bytesDone += bytes - seen;
      seen = bytes;
      progress(state);
    };
    const there = staging.size(item.digest);
    if (there !== undefined && (item.size === undefined || item.size === there)) report(there);
    else {
      const holder = local.find((content) => content.store.size(item.digest) !== undefined);
      if (holder) copyBlob(holder.store, item.digest, staging);
      else if (offline) throw notLocal(item.what);
      else await item.fetch(report);
    }
    state.filesDone++;
    report(staging.size(item.digest)!);
  });
}

/** Copies a blob from local content into the staging directory. Throws KubestickError when it is not what its digest says. */
export function copyBlob(store: BlobStore, digest: string, staging: Staging): void {
  if (staging.putStream(store.chunks(digest), digestHex(digest)) === digest) return;
  throw new KubestickError(`${store.path} is damaged: blob ${digest} does not match its digest`, { code: "damaged" });
}

/** What was pinned without a length is asked for it: only for an estimate, so whatever a server says is believed. */
async function planOf(all: Wanted[], { staging, local, offline }: Sources): Promise<Plan> {
  const lengths = new Map<string, number | undefined>();
  await inParallel(all, AT_ONCE, async ({ digest, size, length }) => {
    const here = [staging, ...local.map(({ store }) => store)].find((store) => store.size(digest) !== undefined);
    lengths.set(digest, size ?? here?.size(digest) ?? (offline ? undefined : await length?.()));
  });
  const sum = (items: Wanted[]) => items.reduce((total, { digest }) => total + (lengths.get(digest) ?? 0), 0);
  const open = all.filter(({ digest }) => staging.size(digest) === undefined);
  const unknown = open.filter(({ digest }) => lengths.get(digest) === undefined).length;
  return { files: open.length, bytes: sum(open), unknown, total: sum(all) };
}
