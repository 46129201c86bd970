import { hostBinaryKind } from "../constants/host-binaries.ts";
import { KubestickError } from "../errors.ts";
import { type Descriptor, parseObject } from "../oci/descriptor.ts";
import { imageBlobs, type LayoutBinary, type LayoutImage } from "../oci/layout.ts";
import { nameByDigest, parseReference } from "../oci/reference.ts";
import type { Staging } from "../oci/staging.ts";
import { readJsonBlob } from "../oci/store.ts";
import { inParallel } from "../util/pool.ts";
import type { Contents } from "./compose.ts";
import type { LocalContent } from "./local.ts";
import { type BundleLock, lacking } from "./lock.ts";
import { type ManifestSources, notLocal, stageManifest } from "./stage-manifest.ts";

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
export interface Sources extends ManifestSources {
  /** The address that a file of the lock is downloaded from: its own, or a mirror's. */
  locate: (url: string) => string;
  progress: (state: Progress) => void;
  /** Hears what has yet to be had before any of it is. */
  planned?: (plan: Plan) => void;
}

/** What a creation has yet to download or copy. */
export interface Plan {
  files: number;
  /** Of the files whose length is known. */
  bytes: number;
  /** How many are of unknown length. */
  unknown: number;
  /** Bytes of everything that goes in, as far as their lengths are known. */
  total: number;
}

interface Wanted {
  digest: string;
  size?: number;
  /** Asks for the length of what is downloaded. */
  length?: () => Promise<number | undefined>;
  fetch: (progress: (bytes: number) => void) => Promise<unknown>;
  what: string;
}

/**
 * Stages everything that a lock names for some architectures: from local content where that has it, else from
 * registries and download sites, several at a time. Throws KubestickError; what was staged stays for the next run.
 */
export async function stageLock(lock: BundleLock, architectures: string[], sources: Sources): Promise<Contents> {
  const holes = lacking(lock, architectures);
  if (holes.length > 0) throw incomplete(lock, holes);
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
      const file = binary.files[arch]!;
      return { binary, arch, file, digest: `sha256:${file.sha256}` };
    }),
  );
  for (const { binary, file, digest } of files) {
    const limit = hostBinaryKind(binary.name)?.maxBytes;
    if (limit === undefined) throw new KubestickError(`kubestick knows no host binary ${binary.name}`);
    wanted.push({
      digest,
      what: file.url,
      length: () => sources.registry.downloader.length(sources.locate(file.url)),
      fetch: (progress) =>
        sources.staging.download(
          sources.registry.downloader,
          { digest, limit, what: file.url },
          async () => ({ url: sources.locate(file.url) }),
          progress,
        ),
    });
  }
  await stageAll(wanted, sources);
  for (const image of contents.images) checkArchitecture(image, sources.staging);
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

/** What the lock lacks, all of it at once: whoever mends it should not learn of it piece by piece. */
function incomplete(lock: BundleLock, holes: ReturnType<typeof lacking>): KubestickError {
  const archs = [...new Set(holes.flatMap((hole) => hole.archs))].sort();
  const parts = archs.map((arch) => {
    const names = holes.filter((hole) => hole.archs.includes(arch)).map(({ what }) => what);
    return `${names.join(" and ")} for ${arch}`;
  });
  return new KubestickError(
    `the lock${lock.kubernetesVersion ? ` for Kubernetes ${lock.kubernetesVersion}` : ""} has no digest of ${parts.join(", ")}`,
    {
      hint: `where there is a network, look it up once and name the file with --lock: kubestick bundle lock --kubernetes-version ${lock.kubernetesVersion} --arch ${archs.join(",")} --lock FILE`,
    },
  );
}

/** A lock that pins another architecture's manifest would make a bundle that no node can use. */
function checkArchitecture({ name, arch, config }: LayoutImage, staging: Staging): void {
  const said = parseObject(readJsonBlob(staging, config), `the config of ${name}`)["architecture"];
  if (said !== arch)
    throw new KubestickError(`what the lock pins of ${name} for ${arch} is for ${JSON.stringify(said)}`, {
      hint: "write the lock anew: kubestick bundle lock",
    });
}

async function stageAll(wanted: Wanted[], { staging, local, offline, progress, planned }: Sources): Promise<void> {
  const all = [...new Map(wanted.map((w) => [w.digest, w])).values()];
  // What was pinned without a length: only for the estimate, so whatever a server says is believed.
  const lengths = new Map<string, number | undefined>();
  await inParallel(all, AT_ONCE, async ({ digest, size, length }) => {
    const here = [staging, ...local.map(({ store }) => store)].find((store) => store.size(digest) !== undefined);
    lengths.set(digest, size ?? here?.size(digest) ?? (offline ? undefined : await length?.()));
  });
  const sum = (items: Wanted[]) => items.reduce((total, { digest }) => total + (lengths.get(digest) ?? 0), 0);
  const open = all.filter(({ digest }) => staging.size(digest) === undefined);
  const unknown = open.filter(({ digest }) => lengths.get(digest) === undefined).length;
  planned?.({ files: open.length, bytes: sum(open), unknown, total: sum(all) });
  const state: Progress = { files: all.length, filesDone: 0, bytesDone: 0, bytes: sum(all) };
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
    throw new KubestickError(`${holder.store.path} is damaged: ${item.digest} has other contents`, { code: "damaged" });
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
      if (image.name === "") throw nameless(content.store.path, image);
      if (contents.images.some((i) => i.name === image.name && i.arch === image.arch)) continue;
      for (const blob of imageBlobs(image)) stage(content, blob);
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
  contents.kubernetesVersion ??= apiServer && /:(v\d+\.\d+\.\d+[^:]*)$/.exec(apiServer.name)?.[1];
  if (contents.images.length + contents.binaries.length === 0)
    throw new KubestickError(`there is nothing for ${architectures.join(" or ")} in ${pathsOf(local)}`, {
      hint: "check --from and --arch",
    });
  return contents;
}

function pathsOf(local: LocalContent[]): string {
  const paths = local.slice(0, 5).map(({ store }) => store.path);
  return `${paths.join(", ")}${local.length > paths.length ? ` and ${local.length - paths.length} more` : ""}`;
}

function nameless(path: string, { said, manifest }: LayoutImage): KubestickError {
  const how = "kubestick cannot know which image it is; give it its name when it is saved";
  const hint = `${how}: skopeo copy SOURCE oci-archive:FILE.tar:registry.example.org/team/app:TAG`;
  if (said === undefined)
    return new KubestickError(`${path} holds an image without a name (${manifest.digest})`, { hint });
  const shown = JSON.stringify(said.slice(0, 300));
  return new KubestickError(
    /[/:@]/.test(said)
      ? `${path} holds an image of the name ${shown}, which is none`
      : `${path} holds an image that is only called ${shown}, which is a tag and no name`,
    { hint },
  );
}

/**
 * Names that images of the contents have by digest, too: by that of their own manifest or of an index that they were
 * published in. What is asked for so is in the bundle already, and gets that name.
 */
export function addDigestNames(contents: Contents, names: string[]): void {
  for (const name of names) {
    const { digest } = parseReference(name);
    if (digest === undefined) continue;
    const same = contents.images.filter(
      (image) =>
        image.name !== name &&
        nameByDigest(image.name, digest) === name &&
        [image.manifest, ...(image.indexes ?? [])].some((d) => d.digest === digest),
    );
    for (const image of same)
      if (!contents.images.some((i) => i.name === name && i.arch === image.arch))
        contents.images.push({ ...image, name });
  }
}

/** What of some local content does not go into a bundle for some architectures, in words: for the person who makes it. */
export function leftOut(
  local: LocalContent[],
  architectures: string[],
  contents: Contents,
): { warnings: string[]; notes: string[] } {
  const has = (name: string, arch: string) => contents.images.some((i) => i.name === name && i.arch === arch);
  const warnings = local.flatMap(({ store, layout }) =>
    layout.absent
      .filter(({ name, arch }) => architectures.includes(arch) && !has(name, arch))
      .map(({ name, arch }) => `${name} is missing for ${arch}: ${store.path} lists it, but does not hold it`),
  );
  const foreign = local.flatMap(({ store, layout }) =>
    layout.images
      .filter(({ name, arch }) => !architectures.includes(arch) && !architectures.some((a) => has(name, a)))
      .map(({ name, said, manifest, arch }) => `${store.path}: ${name || said || manifest.digest}: it is for ${arch}`),
  );
  const others = local.flatMap(({ store, layout }) =>
    layout.images
      .filter(
        ({ name, arch, manifest }) =>
          architectures.includes(arch) &&
          contents.images.some((i) => i.name === name && i.arch === arch && i.manifest.digest !== manifest.digest),
      )
      .map(({ name, arch }) => `${store.path}: ${name} for ${arch}: another one of that name came first`),
  );
  const notes = [...others, ...local.flatMap(({ layout }) => layout.leftOut), ...foreign].map(
    (words) => `Left out ${words}`,
  );
  return { warnings: [...new Set(warnings)], notes: [...new Set(notes)] };
}
