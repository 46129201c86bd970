import type { HostBinary } from "../binaries/host-binary.ts";
import {
  ANNOTATION_BINARY,
  ANNOTATION_CONTAINERD_NAME,
  ANNOTATION_INDEXES,
  ANNOTATION_KUBERNETES,
  ANNOTATION_REF_NAME,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  INDEX_TYPES,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
  USER_YAML,
  USER_YAML_FILES,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { type Descriptor, plainDescriptor, uniqueBlobs } from "../oci/descriptor.ts";
import { type Image, indexEntry, indexText } from "../oci/image.ts";
import { parseObject } from "../oci/json.ts";
import { LIMITS } from "../oci/limits.ts";
import { readIndex } from "../oci/manifest.ts";
import type { Staging } from "../oci/staging.ts";
import { readJsonBlob } from "../oci/store.ts";
import type { Contents, UserYaml } from "./contents.ts";

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** What the layout's index lists, and the blobs behind it: those that are small and read first, and the rest. */
interface Parts {
  listed: Descriptor[];
  head: Descriptor[];
  body: Descriptor[];
}

/**
 * Makes the layout's index and the manifests that only a bundle has: an index for an image of several architectures, an
 * artifact for an architecture's host binaries. The layout is complete: nothing is listed that is not in it; the index that
 * an image was published in, which lists more, lies beside it and is only named. Everything is sorted, so the same contents
 * make the same bytes. Gives `index.json` and every blob in the order of the tar: what is small and read first comes first.
 * Throws KubestickError for more than a bundle may hold.
 */
export function compose(contents: Contents, staging: Staging): { index: Buffer; blobs: Descriptor[] } {
  const names = [...new Set(contents.images.map((image) => image.name))].sort();
  const parts = [
    ...names.map((name) => imageParts(name, contents.images, staging)),
    ...artifactsOf(contents).map((artifact) => artifactParts(artifact, staging)),
  ];
  const { kubernetesVersion } = contents;
  const index = indexText(
    parts.flatMap((part) => part.listed),
    kubernetesVersion ? { [ANNOTATION_KUBERNETES]: kubernetesVersion } : undefined,
  );
  const head = sorted(parts.flatMap((part) => part.head));
  const first = new Set(head.map(({ digest }) => digest));
  const body = sorted(parts.flatMap((part) => part.body)).filter(({ digest }) => !first.has(digest));
  checkLimits(contents, head, index.length, head.length + body.length);
  return { index, blobs: [...head, ...body] };
}

const sorted = (descriptors: Descriptor[]) => uniqueBlobs(descriptors).sort((a, b) => compare(a.digest, b.digest));

/** The images of one name, and where they are several, the index that lists them. */
function imageParts(name: string, all: Image[], staging: Staging): Parts {
  const images = all.filter((image) => image.name === name).sort((a, b) => compare(a.arch, b.arch));
  const several = images.length > 1 ? staging.put(OCI_INDEX, indexText(images.map(indexEntry))) : undefined;
  const top = several ?? indexEntry(images[0]!);
  const published = publishedIndexes(images, staging).filter(({ digest }) => digest !== top.digest);
  const annotations = {
    [ANNOTATION_CONTAINERD_NAME]: name,
    [ANNOTATION_REF_NAME]: name,
    ...(published.length > 0 ? { [ANNOTATION_INDEXES]: published.map(({ digest }) => digest).join() } : {}),
  };
  return {
    listed: [{ ...top, annotations }],
    head: [...images.flatMap((image) => [image.manifest, image.config]), ...(several ? [several] : []), ...published],
    body: images.flatMap((image) => image.layers),
  };
}

/** The indexes that all of a name's images were published in; none where they come out of several, or are in none of them. */
function publishedIndexes(images: Image[], staging: Staging): Descriptor[] {
  const [first = [], ...others] = images.map(({ indexes = [] }) => indexes);
  const digests = (list: Descriptor[]) => list.map(({ digest }) => digest).join();
  if (others.some((list) => digests(list) !== digests(first))) return [];
  if (first.some(({ mediaType }) => !INDEX_TYPES.includes(mediaType))) return [];
  const children = first.flatMap((index) =>
    readIndex(parseObject(readJsonBlob(staging, index), index.digest), index.digest),
  );
  return images.every(({ manifest }) => children.some(({ digest }) => digest === manifest.digest)) ? first : [];
}

interface NewArtifact {
  type: string;
  arch?: string;
  layers: Descriptor[];
}

/** The artifacts of a bundle: host binaries for each architecture, and the user's YAML where there is some. */
function artifactsOf({ binaries, userYaml }: Contents): NewArtifact[] {
  const archs = [...new Set(binaries.map((binary) => binary.arch))].sort();
  const own = archs.map((arch) => ({
    type: HOST_BINARIES,
    arch,
    layers: binaryLayers(binaries.filter((binary) => binary.arch === arch)),
  }));
  return userYaml.length > 0 ? [...own, { type: USER_YAML_FILES, layers: userYamlLayers(userYaml) }] : own;
}

/** An artifact's manifest, with an empty config (OCI image-spec 1.1 manifest.md, guidelines for artifact usage). */
function artifactParts({ type, arch, layers }: NewArtifact, staging: Staging): Parts {
  const config = staging.put(OCI_EMPTY, Buffer.from("{}"));
  const text = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: type, config, layers };
  const manifest = staging.put(OCI_MANIFEST, Buffer.from(JSON.stringify(text)));
  const platform = arch === undefined ? {} : { platform: { architecture: arch, os: "linux" } };
  return {
    listed: [{ ...manifest, artifactType: type, ...platform }],
    head: [manifest, config],
    body: layers,
  };
}

function binaryLayers(binaries: HostBinary[]): Descriptor[] {
  return [...binaries]
    .sort((a, b) => compare(a.name, b.name))
    .map(({ name, version, title, archive, blob }) => ({
      ...plainDescriptor({ ...blob, mediaType: archive ? HOST_BINARY_TGZ : HOST_BINARY_RAW }),
      annotations: { [ANNOTATION_BINARY]: name, [ANNOTATION_TITLE]: title, [ANNOTATION_VERSION]: version },
    }));
}

function userYamlLayers(files: UserYaml[]): Descriptor[] {
  return [...files]
    .sort((a, b) => compare(a.title, b.title) || compare(a.blob.digest, b.blob.digest))
    .map(({ title, blob }) => ({
      ...plainDescriptor({ ...blob, mediaType: USER_YAML }),
      annotations: { [ANNOTATION_TITLE]: title },
    }));
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
