import {
  ANNOTATION_CONTAINERD_NAME,
  ANNOTATION_INDEXES,
  ANNOTATION_REF_NAME,
  ARTIFACT_KINDS,
  CONFIG_TYPES,
  DOCKER_SCHEMA1,
  FOREIGN_LAYER_TYPES,
  INDEX_TYPES,
  LAYER_TYPES,
  MANIFEST_TYPES,
  OCI_INDEX,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { Plain } from "../yaml/plain.ts";
import { type Descriptor, isDigest, plainDescriptor } from "./descriptor.ts";
import type { Image } from "./image.ts";
import { parseObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { architectureOf, type Manifest, oldSchema, readIndex, readManifest, wrongType } from "./manifest.ts";
import { choosePlatforms } from "./platform.ts";
import { normalName } from "./reference.ts";
import { type BlobStore, readJsonBlob } from "./store.ts";

/** Something in a layout that is no image, and of a type that its reader was told to look for. */
export interface Artifact {
  type: string;
  /** The architecture that it is listed for. */
  arch: string | undefined;
  files: Descriptor[];
  /** What it is, for messages. */
  what: string;
}

/** What a reader does with what is no image. */
export interface LayoutOptions {
  /** For layouts that other tools made: what else there is, and platforms that are not there, are left out, not refused. */
  foreign?: boolean;
  /** The types of artifacts that are taken, too. */
  artifacts?: readonly string[];
}

/** An image without its name, or what a manifest is instead, in words. */
type Read = Omit<Image, "name" | "manifest"> | { artifact: string };

/** Where in a layout a descriptor stands. */
interface Place {
  name: string;
  rawName?: string;
  indexes: Descriptor[];
}

/** Collects what the descriptors of a layout's index lead to. Each manifest is read once, however often it is listed. */
export class LayoutReader {
  readonly images: Image[] = [];
  readonly artifacts: Artifact[] = [];
  readonly blobs = new Map<string, Descriptor>();
  readonly leftOut: string[] = [];
  readonly absent: { name: string; arch: string }[] = [];
  readonly #store: BlobStore;
  readonly #foreign: boolean;
  readonly #types: readonly string[];
  readonly #read = new Map<string, Read>();
  readonly #architectures = new Map<string, string | undefined>();
  readonly #seen = new Set<string>();
  #bytes = 0;
  #files = 0;

  constructor(store: BlobStore, { foreign = false, artifacts = [] }: LayoutOptions) {
    this.#store = store;
    this.#foreign = foreign;
    this.#types = artifacts;
  }

  /** Takes a descriptor of the layout's index. Throws KubestickError. */
  read(descriptor: Descriptor): void {
    const { annotations = {} } = descriptor;
    const before = this.images.length;
    this.#visit(descriptor, { ...nameOf(annotations), indexes: [] });
    const published = annotations[ANNOTATION_INDEXES];
    if (published !== undefined) this.#publish(published, this.images.slice(before));
  }

  #visit(descriptor: Descriptor, place: Place): void {
    const { digest, mediaType } = descriptor;
    const what = this.#what(descriptor, place);
    // The same under the same name gives nothing new.
    const key = `${digest} ${place.name} ${place.indexes.length}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#seen.size > LIMITS.members)
      throw new KubestickError(`${what}: the index lists more than ${LIMITS.members} manifests`);
    if (INDEX_TYPES.includes(mediaType)) this.#index(descriptor, place, what);
    else if (MANIFEST_TYPES.includes(mediaType)) this.#manifest(descriptor, place, what);
    else if (DOCKER_SCHEMA1.includes(mediaType)) throw oldSchema(what);
    else if (this.#foreign) this.#leaveOut(what, `${artifactKind([mediaType])}, not an image`);
    else throw wrongType(what, mediaType);
  }

  #index(descriptor: Descriptor, place: Place, what: string): void {
    if (place.indexes.length >= LIMITS.indexDepth)
      throw new KubestickError(`${what}: indexes stand in each other more than ${LIMITS.indexDepth} deep`);
    const listed = readIndex(this.#json(descriptor, what), what);
    const here = listed.filter((child) => this.#store.size(child.digest) !== undefined);
    if (!this.#foreign && here.length < listed.length)
      this.#known(listed.find((child) => !here.includes(child))!, what);
    const { chosen, others } = choosePlatforms(here);
    for (const arch of choosePlatforms(listed).chosen.keys())
      if (!chosen.has(arch)) this.absent.push({ name: place.name || what, arch });
    const unnamed = others.filter((child) => child.platform === undefined);
    const inside = { ...place, indexes: [...place.indexes, descriptor] };
    for (const child of [...chosen.values(), ...unnamed]) {
      const own = place.name === "" && !place.rawName ? nameOf(child.annotations ?? {}) : {};
      this.#visit(child, { ...inside, ...own });
    }
  }

  #manifest(descriptor: Descriptor, place: Place, what: string): void {
    const found = this.#read.get(descriptor.digest) ?? this.#readManifest(descriptor, what);
    if (!found) return;
    this.#read.set(descriptor.digest, found);
    if ("artifact" in found) {
      this.#leaveOut(what, `${found.artifact}, not an image`);
      return;
    }
    const listed = descriptor.platform?.architecture ?? found.arch;
    if (listed !== found.arch) {
      if (!this.#foreign)
        throw new KubestickError(`${what} is for ${found.arch}, but is listed for ${listed.slice(0, 100)}`);
      this.#leaveOut(what, `it is listed for ${listed.slice(0, 100)}, but its config says ${found.arch}`);
      return;
    }
    if (this.images.length >= LIMITS.images)
      throw new KubestickError(`${this.#store.path} lists more than ${LIMITS.images} images`, {
        hint: "make several bundles of it",
      });
    const { name, rawName, indexes } = place;
    this.images.push({
      name,
      ...(name === "" && rawName ? { rawName } : {}),
      ...found,
      manifest: plainDescriptor(descriptor),
      ...(indexes.length > 0 ? { indexes } : {}),
    });
  }

  /** A manifest's image; undefined for an artifact that was looked for, which is noted at once. */
  #readManifest(descriptor: Descriptor, what: string): Read | undefined {
    const manifest = readManifest(this.#json(descriptor, what), what);
    const { artifactType: type, config, layers } = manifest;
    if (type !== undefined && this.#types.includes(type)) {
      this.#artifact(type, descriptor, manifest, what);
      return undefined;
    }
    const wrong = layers.filter(({ mediaType }) => ![...LAYER_TYPES, ...FOREIGN_LAYER_TYPES].includes(mediaType));
    const isImage = CONFIG_TYPES.includes(config.mediaType) && (layers.length === 0 || wrong.length < layers.length);
    if (isImage && wrong[0]) throw wrongType(`${what}: a layer`, wrong[0].mediaType);
    const arch = isImage ? this.#architecture(config, what) : undefined;
    if (arch !== undefined)
      return { arch, config: this.#known(config, what), layers: layers.map((layer) => this.#layer(layer, what)) };
    if (this.#foreign)
      return { artifact: artifactKind([type ?? "", config.mediaType, ...layers.map((layer) => layer.mediaType)]) };
    if (!CONFIG_TYPES.includes(config.mediaType)) throw wrongType(`${what}: its config`, config.mediaType);
    if (wrong[0]) throw wrongType(`${what}: a layer`, wrong[0].mediaType);
    throw new KubestickError(`${what}: its config names no architecture of Linux`);
  }

  #artifact(type: string, { platform }: Descriptor, { config, layers }: Manifest, what: string): void {
    for (const blob of [config, ...layers]) this.#known(blob, what);
    this.#files += layers.length;
    if (this.#files > LIMITS.images)
      throw new KubestickError(`${this.#store.path} has more than ${LIMITS.images} files that are no images`);
    this.artifacts.push({ type, arch: platform?.architecture, files: layers, what });
  }

  /** The architecture that a config says; undefined where it is for another system than Linux, or none. */
  #architecture(config: Descriptor, what: string): string | undefined {
    if (!this.#architectures.has(config.digest))
      this.#architectures.set(config.digest, architectureOf(this.#json(config, `${what}: its config`)));
    return this.#architectures.get(config.digest);
  }

  #layer(layer: Descriptor, what: string): Descriptor {
    if (FOREIGN_LAYER_TYPES.includes(layer.mediaType) && this.#store.size(layer.digest) === undefined)
      throw new KubestickError(
        `${what}: a layer is not in it, because it may only be had from its maker (${layer.mediaType})`,
        {
          hint: "kubestick takes such an image only from an archive that has all of its layers",
        },
      );
    return this.#known(layer, what);
  }

  /** Notes the indexes that images were published in, which must list them. */
  #publish(digests: string, images: Image[]): void {
    const what = `${this.#store.path}: ${images[0]?.name || "an image"}`;
    const list = digests.split(",", LIMITS.indexDepth + 1);
    const listed = new Set<string>();
    const indexes = list.map((digest): Descriptor => {
      const size = isDigest(digest) ? this.#store.size(digest) : undefined;
      if (size === undefined) throw new KubestickError(`${what} lacks an index that it says it was published in`);
      const index = this.#json({ mediaType: OCI_INDEX, digest, size }, what);
      for (const child of readIndex(index, what)) listed.add(child.digest);
      const mediaType = index["mediaType"] ?? OCI_INDEX;
      if (typeof mediaType !== "string") throw wrongType(what, "");
      if (!INDEX_TYPES.includes(mediaType)) throw wrongType(what, mediaType);
      return { mediaType, digest, size };
    });
    const strange = images.find((image) => !listed.has(image.manifest.digest));
    if (strange || indexes.length > LIMITS.indexDepth)
      throw new KubestickError(`${what} is not in the indexes that it says it was published in`);
    for (const image of images) image.indexes = indexes;
  }

  #json(descriptor: Descriptor, what: string): Plain {
    this.#known(descriptor, what);
    this.#bytes += descriptor.size;
    if (this.#bytes > LIMITS.metadataBytes)
      throw new KubestickError(
        `${this.#store.path} has more than ${LIMITS.metadataBytes} bytes of manifests and configs`,
      );
    return parseObject(readJsonBlob(this.#store, descriptor), what);
  }

  /** Notes a blob, which must be there with its length; two descriptors of one blob must agree. */
  #known({ mediaType, digest, size: wanted }: Descriptor, what: string): Descriptor {
    const size = this.#store.size(digest);
    const hint = "copy or create it again";
    if (size === undefined) throw new KubestickError(`${what} lacks the blob ${digest}`, { hint });
    if (size !== wanted)
      throw new KubestickError(`${what}: the blob ${digest} has ${size} bytes, not ${wanted}`, { hint });
    const known = this.blobs.get(digest);
    if (known?.mediaType === mediaType) return known;
    const descriptor = { mediaType, digest, size };
    if (!known) this.blobs.set(digest, descriptor);
    if (this.blobs.size > LIMITS.members)
      throw new KubestickError(`${this.#store.path} has more than ${LIMITS.members} blobs`);
    return descriptor;
  }

  #leaveOut(what: string, why: string): void {
    if (this.leftOut.length < LIMITS.images) this.leftOut.push(`${what}: ${why}`);
  }

  #what({ digest }: Descriptor, { name, rawName }: Place): string {
    return `${this.#store.path}: ${name || rawName?.slice(0, 300) || digest}`;
  }
}

/** An image's name out of a descriptor's annotations; a bare tag, and what is no name, is only what it is said to be. */
function nameOf(annotations: Record<string, string>): { name: string; rawName?: string } {
  const full = annotations[ANNOTATION_CONTAINERD_NAME];
  const rawName = full || annotations[ANNOTATION_REF_NAME];
  if (!rawName) return { name: "" };
  // By the OCI specification a reference is a tag; skopeo, podman and others write whole names there.
  const name = full || /[/:@]/.test(rawName) ? normalName(rawName) : undefined;
  return { name: name ?? "", rawName };
}

/** What an artifact of these media types is, in words. */
function artifactKind(types: string[]): string {
  const known = ARTIFACT_KINDS.find(([pattern]) => types.some((type) => pattern.test(type)));
  return known?.[1] ?? `an artifact of the type ${JSON.stringify((types.find(Boolean) ?? "").slice(0, 200))}`;
}
