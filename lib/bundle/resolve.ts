import { HOST_BINARY_KINDS } from "../constants/host-binaries.ts";
import { KubestickError } from "../errors.ts";
import { parseReference } from "../oci/reference.ts";
import type { Registry } from "../oci/registry.ts";
import type { BundleLock } from "./lock.ts";
import { lockBinary } from "./lock-binary.ts";
import { lockImage } from "./lock-image.ts";
import { upstreamOf } from "./upstream.ts";

/** Where to look, and what a lock must have. */
export interface ResolveOptions {
  architectures: string[];
  /** Images besides Kubernetes' own. */
  images: string[];
  /** Other versions of host binaries than kubestick's choice, by name. */
  binaries: Record<string, string>;
  /** Where the published digests are had instead (see `mirrored`); the lock names upstream's addresses all the same. */
  downloadMirror?: string;
  /** Images and binaries that are left alone as they are. */
  known?: BundleLock;
}

/**
 * Pins everything that a Kubernetes version needs. What `known` has already stays as it is, for each architecture; so a
 * tag that was moved upstream changes nothing.
 */
export async function resolveLock(
  version: string,
  registry: Registry,
  options: ResolveOptions,
  progress: (what: string) => void,
): Promise<BundleLock> {
  const upstream = upstreamOf(version, options.binaries);
  const { architectures, known } = options;
  const images = new Map((known?.images ?? []).map((image) => [image.name, image]));
  for (const text of [...upstream.images, ...options.images]) {
    const { name } = parseReference(text);
    const have = images.get(name);
    // What is known by its digest alone is completed, so that a creation need not ask.
    const missing = architectures.filter((arch) => have?.manifests[arch]?.size === undefined);
    if (missing.length === 0) continue;
    progress(name);
    images.set(name, await lockImage(registry, name, missing, have));
  }
  const binaries = new Map((known?.binaries ?? []).map((binary) => [binary.name, binary]));
  for (const kind of HOST_BINARY_KINDS) {
    const wanted = upstream.binaries[kind.name]!;
    const have = binaries.get(kind.name);
    const missing = architectures.filter((arch) => !have?.files[arch]);
    if (have && have.version !== wanted && options.binaries[kind.name] !== undefined)
      throw new KubestickError(`the lock pins ${kind.name} ${have.version}, not ${wanted}`, {
        hint: "write a new lock file, or remove that entry from the old one",
      });
    if (missing.length === 0) continue;
    const pinned = have?.version ?? wanted;
    progress(`${kind.name} ${pinned}`);
    const found = await lockBinary(registry.downloader, kind, pinned, missing, options.downloadMirror);
    binaries.set(kind.name, { ...found, files: { ...found.files, ...have?.files } });
  }
  return { kubernetesVersion: version, images: [...images.values()], binaries: [...binaries.values()] };
}
