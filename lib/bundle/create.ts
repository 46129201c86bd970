import { hostBinaryKind } from "../constants/host-binaries.ts";
import { KubestickError } from "../host/errors.ts";
import type { Contents } from "./compose.ts";
import { type Descriptor, objectList, parseObject, readDescriptor } from "./descriptor.ts";
import type { LayoutBinary, LayoutImage } from "./layout.ts";
import type { LocalContent } from "./local.ts";
import type { BundleLock, LockedImage } from "./lock.ts";
import { inParallel } from "./pool.ts";
import type { Registry } from "./registry.ts";
import type { Staging } from "./staging.ts";
import { readJsonBlob } from "./store.ts";

/** Enough to fill a line; each costs memory. */
const AT_ONCE = 3;

/** What a creation reports while it runs. */
export interface Progress {
  files: number;
  filesDone: number;
  bytesDone: number;
  /** Bytes of the files whose length is known. */
  bytes: number;
}

/** Where a creation takes blobs from and puts them. */
export interface Sources {
  registry: Registry;
  staging: Staging;
  /** Looked through before anything is downloaded. */
  local: LocalContent[];
  /** Nothing is downloaded. */
  offline: boolean;
  progress: (state: Progress) => void;
}

interface Wanted {
  digest: string;
  size?: number;
  fetch: (progress: (bytes: number) => void) => Promise<unknown>;
  what: string;
}

/**
 * Stages everything that a lock names for some architectures: from local content where that has it, else from
 * registries and download sites, several at a time. Throws KubestickError; what was staged stays for the next run.
 */
export async function stageLock(lock: BundleLock, architectures: string[], sources: Sources): Promise<Contents> {
  const contents: Contents = { kubernetesVersion: lock.kubernetesVersion, images: [], binaries: [], manifests: [] };
  const wanted: Wanted[] = [];
  for (const arch of architectures) {
    for (const image of lock.images) {
      const layoutImage = await stageManifest(image, arch, sources);
      contents.images.push(layoutImage);
      for (const blob of [layoutImage.config, ...layoutImage.layers])
        wanted.push({
          ...blob,
          what: `a part of ${image.name}`,
          fetch: (progress) => sources.registry.blob(image.name, blob, sources.staging, progress),
        });
    }
  }
  const files = architectures.flatMap((arch) =>
    lock.binaries.map((binary) => {
      const file = binary.files[arch];
      if (!file) throw missing(`${binary.name} ${binary.version}`, arch);
      return { binary, arch, file, digest: `sha256:${file.sha256}` };
    }),
  );
  for (const { binary, file, digest } of files) {
    wanted.push({
      digest,
      what: file.url,
      fetch: (progress) =>
        sources.staging.download(
          sources.registry.downloader,
          { digest, what: file.url },
          async () => ({ url: file.url }),
          progress,
        ),
    });
    if (!hostBinaryKind(binary.name)) throw new KubestickError(`kubestick knows no host binary ${binary.name}`);
  }
  await stageAll(wanted, sources);
  contents.binaries = files.map(({ binary, arch, file, digest }): LayoutBinary => {
    const kind = hostBinaryKind(binary.name)!;
    return {
      name: binary.name,
      version: binary.version,
      arch,
      title: file.url.slice(file.url.lastIndexOf("/") + 1),
      archive: kind.archive,
      blob: { mediaType: "", digest, size: sources.staging.size(digest)! },
    };
  });
  return contents;
}

function missing(what: string, arch: string): KubestickError {
  return new KubestickError(`the lock has no ${what} for ${arch}`, {
    hint: `add it: kubestick bundle lock --arch ${arch}, with the same lock file`,
  });
}

/** An image's manifest, staged and read. */
async function stageManifest(image: LockedImage, arch: string, sources: Sources): Promise<LayoutImage> {
  const { registry, staging, local } = sources;
  const pinned = image.manifests[arch];
  if (!pinned) throw missing(image.name, arch);
  if (!staging.has(pinned)) {
    const holder = local.find((content) => content.store.size(pinned.digest) === pinned.size);
    if (holder) staging.put(pinned.mediaType, readJsonBlob(holder.store, pinned));
    else if (sources.offline) throw notLocal(image.name);
    else staging.put(pinned.mediaType, (await registry.manifest(image.name, pinned.digest)).data);
  }
  const manifest = parseObject(readJsonBlob(staging, pinned), image.name);
  return {
    name: image.name,
    arch,
    manifest: pinned,
    config: readDescriptor(manifest["config"], `${image.name}: its config`),
    layers: objectList(manifest["layers"], `${image.name}: its layers`).map((layer, i) =>
      readDescriptor(layer, `${image.name}: its layer ${i}`),
    ),
  };
}

function notLocal(what: string): KubestickError {
  return new KubestickError(`nothing given with --from has ${what}`, {
    hint: "give another --from, or leave --offline out to download it",
  });
}

async function stageAll(wanted: Wanted[], { staging, local, offline, progress }: Sources): Promise<void> {
  const all = [...new Map(wanted.map((w) => [w.digest, w])).values()];
  const state: Progress = {
    files: all.length,
    filesDone: 0,
    bytesDone: 0,
    bytes: all.reduce((sum, w) => sum + (w.size ?? 0), 0),
  };
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
      if (holder) copyBlob(holder, item, staging);
      else if (offline) throw notLocal(item.what);
      else await item.fetch(report);
    }
    state.filesDone++;
    report(staging.size(item.digest)!);
  });
}

function copyBlob(holder: LocalContent, item: Wanted, staging: Staging): void {
  const staged = staging.putStream("", holder.store.chunks(item.digest), item.digest.slice(7));
  if (staged.digest !== item.digest)
    throw new KubestickError(`${holder.store.path} is damaged: ${item.digest} has other contents`);
}

/** Stages everything that local content has for some architectures. Throws KubestickError when it has nothing. */
export function stageLocal(
  local: LocalContent[],
  architectures: string[],
  kubernetesVersion: string | undefined,
  staging: Staging,
): Contents {
  const contents: Contents = { kubernetesVersion, images: [], binaries: [], manifests: [] };
  const stage = (content: LocalContent, blob: Descriptor) => {
    if (!staging.has(blob)) copyBlob(content, { ...blob, what: "", fetch: async () => undefined }, staging);
  };
  for (const content of local) {
    contents.kubernetesVersion ??= content.layout.kubernetesVersion;
    for (const image of content.layout.images.filter((i) => architectures.includes(i.arch))) {
      if (image.name === "")
        throw new KubestickError(`${content.store.path} holds an image without a name (${image.manifest.digest})`, {
          hint: "give it one when it is saved: skopeo copy ... oci-archive:FILE:NAME:TAG",
        });
      if (contents.images.some((i) => i.name === image.name && i.arch === image.arch)) continue;
      for (const blob of [image.manifest, image.config, ...image.layers]) stage(content, blob);
      contents.images.push(image);
    }
    for (const binary of content.layout.binaries.filter((b) => architectures.includes(b.arch))) {
      if (contents.binaries.some((b) => b.name === binary.name && b.arch === binary.arch)) continue;
      stage(content, binary.blob);
      contents.binaries.push(binary);
    }
    for (const manifest of content.layout.manifests) {
      stage(content, manifest.blob);
      contents.manifests.push(manifest);
    }
  }
  const apiServer = contents.images.find((image) => /\/kube-apiserver:/.test(image.name));
  contents.kubernetesVersion ??= apiServer && /:(v[^:]+)$/.exec(apiServer.name)?.[1];
  if (contents.images.length + contents.binaries.length === 0)
    throw new KubestickError(
      `there is nothing for ${architectures.join(" or ")} in ${local.map((c) => c.store.path).join(", ")}`,
      { hint: "check --from and --arch" },
    );
  return contents;
}
