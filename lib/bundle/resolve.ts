import { parseVersion } from "../config/version.ts";
import { HOST_BINARY_KINDS, type HostBinaryKind } from "../constants/host-binaries.ts";
import { INDEX_TYPES } from "../constants/oci.ts";
import { COMPANIONS } from "../constants/upstream.ts";
import { DEFAULT_IMAGE_REPOSITORY } from "../constants/versions.ts";
import { KubestickError, UsageError } from "../host/errors.ts";
import { objectList, parseObject, readDescriptor } from "./descriptor.ts";
import type { Downloader } from "./http.ts";
import type { BundleLock, LockedBinary, LockedImage } from "./lock.ts";
import { parseReference } from "./reference.ts";
import type { Registry } from "./registry.ts";

const MAX_CHECKSUM_BYTES = 1024 * 1024;

/** Where to look, and what a lock must have. */
export interface ResolveOptions {
  architectures: string[];
  /** Images besides Kubernetes' own. */
  images: string[];
  /** Other versions of host binaries than kubestick's choice, by name. */
  binaries: Record<string, string>;
  /** Replaces `https://` of every download with this URL and a slash, for a mirror of files. */
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

/** Asks a registry for an image's manifest of each architecture. Throws KubestickError when one is missing. */
export async function lockImage(registry: Registry, text: string, architectures: string[]): Promise<LockedImage> {
  const { name } = parseReference(text);
  const { descriptor, data } = await registry.manifest(name);
  const manifests: LockedImage["manifests"] = {};
  const pin = ({ mediaType, digest, size }: { mediaType: string; digest: string; size: number }) => ({
    mediaType,
    digest,
    size,
  });
  if (INDEX_TYPES.includes(descriptor.mediaType)) {
    const listed = objectList(parseObject(data, `the index of ${name}`)["manifests"], `the index of ${name}`);
    for (const child of listed.map((c, i) => readDescriptor(c, `manifest ${i} of ${name}`))) {
      const { os, architecture = "" } = child.platform ?? {};
      if (os === "linux" && architectures.includes(architecture)) manifests[architecture] ??= pin(child);
    }
  } else {
    const config = readDescriptor(parseObject(data, name)["config"], `the config of ${name}`);
    const arch = await registry.architecture(name, config);
    if (architectures.includes(arch)) manifests[arch] = pin(descriptor);
  }
  const missing = architectures.filter((arch) => !manifests[arch]);
  if (missing.length > 0)
    throw new KubestickError(`${name} is not there for ${missing.join(" and ")}`, {
      hint: "choose another tag, or leave that architecture out of --arch",
    });
  return { name, manifests };
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
    const url = mirrored(fill(kind.url), mirror);
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

function mirrored(url: string, mirror: string | undefined): string {
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
    const missing = architectures.filter((arch) => !have?.manifests[arch]);
    if (missing.length === 0) continue;
    progress(name);
    const found = await lockImage(registry, name, missing);
    images.set(name, { name, manifests: { ...found.manifests, ...have?.manifests } });
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
