import { HOST_BINARY_KINDS, type HostBinaryKind } from "../constants/host-binaries.ts";
import { INDEX_TYPES } from "../constants/oci.ts";
import { COMPANIONS } from "../constants/upstream.ts";
import { DEFAULT_IMAGE_REPOSITORY } from "../constants/versions.ts";
import { KubestickError, UsageError } from "../errors.ts";
import type { Downloader } from "../net/download.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { parseObject } from "../oci/json.ts";
import { readManifest } from "../oci/manifest.ts";
import { parseReference } from "../oci/reference.ts";
import type { Registry } from "../oci/registry.ts";
import { parseVersion } from "../util/version.ts";
import type { BundleLock, LockedBinary, LockedImage, LockedManifest } from "./lock.ts";
import { platformManifests } from "./stage-manifest.ts";

const MAX_CHECKSUM_BYTES = 1024 * 1024;

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

/** The images and host binaries of a Kubernetes version, by name and tag. Throws UsageError for a version too old or new. */
export function upstreamOf(
  version: string,
  binaries: Record<string, string> = {},
): { images: string[]; binaries: Record<string, string> } {
  const parsed = parseVersion(version);
  const companions = parsed && COMPANIONS[`${parsed.major}.${parsed.minor}`];
  if (!companions)
    throw new UsageError(
      `kubestick knows no lock for Kubernetes ${version}`,
      `choose one of ${Object.keys(COMPANIONS)
        .map((v) => `v${v}.x`)
        .join(", ")}`,
    );
  const image = (path: string, tag: string) => `${DEFAULT_IMAGE_REPOSITORY}/${path}:${tag}`;
  return {
    images: [
      ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"].map((name) =>
        image(name, version),
      ),
      image("etcd", companions.etcd),
      image("coredns/coredns", companions.coredns),
      image("pause", companions.pause),
    ],
    binaries: { kubelet: version, kubectl: version, ...companions.binaries, ...binaries },
  };
}

/**
 * Asks a registry for an image's manifest of each architecture, through its index where it has one. What is `pinned` is
 * only completed: the pinned index is read, and must name the pinned manifests. Throws KubestickError when something is
 * missing or other than it was pinned.
 */
export async function lockImage(
  registry: Registry,
  text: string,
  architectures: string[],
  pinned: LockedImage = { name: text, manifests: {} },
): Promise<LockedImage> {
  const { name } = parseReference(text);
  const { descriptor, data } = await registry.manifest(name, pinned.index);
  const listed = INDEX_TYPES.includes(descriptor.mediaType)
    ? platformManifests(data, `the index of ${name}`)
    : await singleManifest(registry, name, descriptor, data);
  const manifests = { ...pinned.manifests };
  const differs = ([arch, { digest }]: [string, LockedManifest]) => listed[arch]?.digest !== digest;
  const wrong = pinned.index && Object.entries(manifests).find(differs);
  if (wrong)
    throw new KubestickError(`the pinned index of ${name} names another manifest for ${wrong[0]} than is pinned`, {
      hint: "one of the two digests is wrong: remove that image from the lock, and lock it anew",
    });
  for (const arch of architectures) {
    const found = listed[arch];
    if (found && (manifests[arch]?.digest ?? found.digest) === found.digest)
      manifests[arch] = { mediaType: found.mediaType, digest: found.digest, size: found.size };
  }
  const missing = architectures.filter((arch) => !manifests[arch]);
  if (missing.length > 0)
    throw new KubestickError(`${name} is not there for ${missing.join(" and ")}`, {
      hint: "choose another tag, or leave that architecture out of --arch",
    });
  // An index stands for every architecture, so it must be the one that all that is pinned came from.
  const whole = !Object.entries(manifests).some(differs);
  return {
    name,
    ...(INDEX_TYPES.includes(descriptor.mediaType) && whole ? { index: descriptor.digest } : {}),
    manifests,
  };
}

/** The manifest of an image of one architecture, by the architecture that its config says. */
async function singleManifest(
  registry: Registry,
  name: string,
  descriptor: Descriptor,
  data: Buffer,
): Promise<Record<string, Descriptor>> {
  const { config } = readManifest(parseObject(data, name), name);
  return { [await registry.architecture(name, config)]: descriptor };
}

/** Finds a host binary's files and their published digests. Throws KubestickError when a digest is not published. */
export async function lockBinary(
  downloader: Downloader,
  kind: HostBinaryKind,
  version: string,
  architectures: string[],
  mirror?: string,
): Promise<LockedBinary> {
  const files: LockedBinary["files"] = {};
  for (const arch of architectures) {
    const fill = (template: string) =>
      template
        .replaceAll("{version}", version)
        .replaceAll("{number}", version.replace(/^v/, ""))
        .replaceAll("{arch}", arch);
    const url = fill(kind.url);
    const from = mirrored(fill(kind.checksums), mirror);
    const { data } = await downloader.bytes({ url: from }, MAX_CHECKSUM_BYTES);
    const sha256 = findChecksum(data.toString("utf8"), url.slice(url.lastIndexOf("/") + 1));
    if (!sha256) throw new KubestickError(`${from} has no SHA-256 for ${url}`);
    files[arch] = { url, sha256 };
  }
  return { name: kind.name, version, files };
}

/** The digest of a file in a checksum file: `digest  name` lines (sha256sum), or the digest alone. */
export function findChecksum(text: string, file: string): string | undefined {
  const lines = text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+\*?/));
  const line =
    lines.find(([, name]) => name?.split("/").at(-1) === file) ??
    (lines.length === 1 && lines[0]!.length === 1 ? lines[0] : undefined);
  const digest = line?.[0]?.toLowerCase() ?? "";
  return /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

/** A download's address at a mirror of files: the mirror's URL before its host and path. Without a mirror it is its own. */
export function mirrored(url: string, mirror: string | undefined): string {
  return mirror === undefined ? url : url.replace("https://", `${mirror.replace(/\/+$/, "")}/`);
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
