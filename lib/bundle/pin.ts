import { dirname, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { makeDirectory } from "../host/directories.ts";
import { isThere } from "../host/file-system.ts";
import { Files } from "../host/files.ts";
import { lockTarget } from "../host/lock.ts";
import type { Ui } from "../ui/ui.ts";
import { minorOf, ownPins, readLock } from "./choose-lock.ts";
import { type BundleLock, formatLock } from "./lock.ts";
import { openRegistry, type RemoteOptions } from "./remote.ts";
import { resolveLock } from "./resolve.ts";

/** What is to be pinned, and where. */
export interface PinOptions {
  kubernetesVersion: string;
  /** The lock file to write or complete; without one it is named after the version. */
  file?: string | undefined;
  architectures: string[];
  images: string[];
  /** Other versions of host binaries, by name. */
  binaries: Record<string, string>;
  /** Take nothing from what this kubestick pins itself. */
  fresh: boolean;
  remote: RemoteOptions;
}

/** Pins what a Kubernetes version needs in a lock file, and leaves what is pinned as it is. Throws KubestickError. */
export async function pinBundle(options: PinOptions, ui: Ui): Promise<{ file: string; lock: BundleLock }> {
  const { kubernetesVersion: version, fresh, binaries, remote } = options;
  const file = options.file ?? `kubernetes-${minorOf(version)}.lock.yaml`;
  makeDirectory(dirname(file));
  using _lock = lockTarget(file);
  const written = isThere(file) ? readLock(file) : undefined;
  const known = written ?? (fresh ? undefined : ownPins(version, binaries));
  if (known && known.kubernetesVersion !== version)
    throw new UsageError(
      `${file} pins Kubernetes ${known.kubernetesVersion}, not ${version}`,
      "what is pinned is never changed: name a new file with --lock, or remove that one",
    );
  const registry = openRegistry(remote);
  try {
    const wanted = {
      architectures: options.architectures,
      images: options.images,
      binaries,
      downloadMirror: remote.downloadMirror,
      known,
    };
    const lock = await resolveLock(version, registry, wanted, (what) => ui.step("lock", `Resolving ${what}`));
    const text = formatLock(lock);
    const same = written !== undefined && formatLock(written) === text;
    if (!same) new Files("/").write(resolve(file), text, { mode: 0o644 });
    ui.step(
      "lock",
      same
        ? `${file} pins all of it already`
        : `Wrote ${file}: ${lock.images.length} images, ${lock.binaries.length} host binaries`,
    );
    return { file, lock };
  } finally {
    await registry.downloader.close();
  }
}
