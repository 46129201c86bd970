import {
  ANNOTATION_BINARY,
  ANNOTATION_CONTAINERD_NAME,
  ANNOTATION_INDEXES,
  ANNOTATION_KUBERNETES,
  ANNOTATION_REF_NAME,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  BLOBS_DIR,
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  INDEX_FILE,
  INDEX_TYPES,
  LAYOUT_FILE,
  LAYOUT_VERSION,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
  USER_MANIFEST_YAML,
  USER_MANIFESTS,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { type Descriptor, digestHex, objectList, parseObject } from "../oci/descriptor.ts";
import type { LayoutBinary, LayoutImage, LayoutManifest } from "../oci/layout.ts";
import { LIMITS } from "../oci/limits.ts";
import type { Staging } from "../oci/staging.ts";
import { type BlobStore, readJsonBlob, verifiedChunks } from "../oci/store.ts";
import { TAR_END, tarHeader, tarPadding } from "../oci/tar.ts";

/** What goes into a bundle, its blobs already staged. */
export interface Contents {
  kubernetesVersion: string | undefined;
  images: LayoutImage[];
  binaries: LayoutBinary[];
  manifests: LayoutManifest[];
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Makes the layout's index and the manifests that only a bundle has: an index for an image of several architectures, an
 * artifact for an architecture's host binaries. The layout is complete: nothing is listed that is not in it; the index that
 * an image was published in, which lists more, lies beside it and is only named. Everything is sorted, so the same contents
 * make the same bytes. Gives `index.json` and every blob in the order of the tar: what is small and read first comes first.
 * Throws KubestickError for more than a bundle may hold.
 */
export function compose(contents: Contents, staging: Staging): { index: Buffer; blobs: Descriptor[] } {
  const head: Descriptor[] = [];
  const body: Descriptor[] = [];
  const manifests: Descriptor[] = [];
  const names = [...new Set(contents.images.map((image) => image.name))].sort();
  for (const name of names) {
    const images = contents.images.filter((i) => i.name === name).sort((a, b) => compare(a.arch, b.arch));
    const listed = images.map(({ manifest, arch }) => ({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.size,
      platform: { architecture: arch, os: "linux" },
    }));
    for (const image of images) {
      head.push(image.manifest, image.config);
      body.push(...image.layers);
    }
    let top: Descriptor = listed[0]!;
    if (listed.length > 1) {
      top = staging.put(OCI_INDEX, json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: listed }));
      head.push(top);
    }
    const published = publishedIndexes(images, staging).filter(({ digest }) => digest !== top.digest);
    head.push(...published);
    manifests.push({
      ...top,
      annotations: {
        [ANNOTATION_CONTAINERD_NAME]: name,
        [ANNOTATION_REF_NAME]: name,
        ...(published.length > 0 ? { [ANNOTATION_INDEXES]: published.map(({ digest }) => digest).join() } : {}),
      },
    });
  }
  const artifacts = [...new Set(contents.binaries.map((b) => b.arch))].sort().map((arch) => ({
    type: HOST_BINARIES,
    platform: { architecture: arch, os: "linux" },
    layers: binaryLayers(contents.binaries.filter((b) => b.arch === arch)),
  }));
  const user = { type: USER_MANIFESTS, platform: undefined, layers: manifestLayers(contents.manifests) };
  for (const { type, platform, layers } of user.layers.length > 0 ? [...artifacts, user] : artifacts) {
    // Artifacts have an empty config (OCI image-spec 1.1 manifest.md, guidelines for artifact usage).
    const config = staging.put(OCI_EMPTY, Buffer.from("{}"));
    const manifest = staging.put(
      OCI_MANIFEST,
      json({ schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: type, config, layers }),
    );
    head.push(manifest, config);
    body.push(...layers);
    manifests.push({ ...manifest, artifactType: type, ...(platform ? { platform } : {}) });
  }
  const { kubernetesVersion } = contents;
  const index = json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests,
    ...(kubernetesVersion ? { annotations: { [ANNOTATION_KUBERNETES]: kubernetesVersion } } : {}),
  });
  const [first, rest] = [unique(head), unique(body, new Set(head.map((d) => d.digest)))];
  checkLimits(contents, first, index.length, first.length + rest.length);
  return { index, blobs: [...first, ...rest] };
}

/** Refuses to make what would not be read again. */
function checkLimits({ images }: Contents, manifests: Descriptor[], indexBytes: number, blobs: number): void {
  const bytes = manifests.reduce((sum, { size }) => sum + size, indexBytes);
  const over = [
    [images.length, LIMITS.images, "images"],
    [blobs + 2, LIMITS.members, "blobs"],
    [bytes, LIMITS.metadataBytes, "bytes of manifests and configs"],
    [indexBytes, LIMITS.jsonBytes, "bytes of index"],
  ].find(([has, limit]) => (has as number) > (limit as number));
  if (over)
    throw new KubestickError(`a bundle holds at most ${over[1]} ${over[2]}, and these are ${over[0]}`, {
      hint: "make several bundles",
    });
}

/** The indexes that all of a name's images were published in; none where they come out of several, or are in none of them. */
function publishedIndexes(images: LayoutImage[], staging: Staging): Descriptor[] {
  const [first = [], ...others] = images.map(({ indexes = [] }) => indexes);
  const digests = (list: Descriptor[]) => list.map(({ digest }) => digest).join();
  if (others.some((list) => digests(list) !== digests(first))) return [];
  if (first.some(({ mediaType }) => !INDEX_TYPES.includes(mediaType))) return [];
  const listed = first.flatMap((index) =>
    objectList(parseObject(readJsonBlob(staging, index), index.digest)["manifests"], index.digest),
  );
  return images.every(({ manifest }) => listed.some(({ digest }) => digest === manifest.digest)) ? first : [];
}

function binaryLayers(binaries: LayoutBinary[]): Descriptor[] {
  return [...binaries]
    .sort((a, b) => compare(a.name, b.name))
    .map(({ name, version, title, archive, blob }) => ({
      mediaType: archive ? HOST_BINARY_TGZ : HOST_BINARY_RAW,
      digest: blob.digest,
      size: blob.size,
      annotations: { [ANNOTATION_BINARY]: name, [ANNOTATION_TITLE]: title, [ANNOTATION_VERSION]: version },
    }));
}

function manifestLayers(manifests: LayoutManifest[]): Descriptor[] {
  return [...manifests]
    .sort((a, b) => compare(a.title, b.title) || compare(a.blob.digest, b.blob.digest))
    .map(({ title, blob }) => ({
      mediaType: USER_MANIFEST_YAML,
      digest: blob.digest,
      size: blob.size,
      annotations: { [ANNOTATION_TITLE]: title },
    }));
}

function unique(descriptors: Descriptor[], without = new Set<string>()): Descriptor[] {
  const byDigest = new Map(descriptors.filter((d) => !without.has(d.digest)).map((d) => [d.digest, d]));
  return [...byDigest.values()].sort((a, b) => compare(a.digest, b.digest));
}

/**
 * A layout as a tar, a chunk at a time (each valid until the next but one), every blob verified as it passes. No owners,
 * times or other accidents go in.
 */
export function* layoutTar(index: Buffer, blobs: Descriptor[], store: BlobStore): Generator<Buffer> {
  for (const [name, data] of [
    [LAYOUT_FILE, json({ imageLayoutVersion: LAYOUT_VERSION })],
    [INDEX_FILE, index],
  ] as const) {
    yield tarHeader(name, data.length);
    yield data;
    yield tarPadding(data.length);
  }
  for (const blob of blobs) {
    yield tarHeader(`${BLOBS_DIR}/${digestHex(blob.digest)}`, blob.size);
    yield* verifiedChunks(store, blob);
    yield tarPadding(blob.size);
  }
  yield TAR_END;
}
