import {
  ANNOTATION_BINARY,
  ANNOTATION_CONTAINERD_NAME,
  ANNOTATION_INDEXES,
  ANNOTATION_REF_NAME,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  ARCHITECTURES,
  ARTIFACT_KINDS,
  CONFIG_TYPES,
  DOCKER_SCHEMA1,
  FOREIGN_LAYER_TYPES,
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  INDEX_TYPES,
  LAYER_TYPES,
  MANIFEST_TYPES,
  OCI_INDEX,
  USER_MANIFEST_YAML,
  USER_MANIFESTS,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { type Descriptor, isDigest, objectList, parseObject, readDescriptor } from "./descriptor.ts";
import type { LayoutBinary, LayoutImage, LayoutManifest } from "./layout.ts";
import { LIMITS } from "./limits.ts";
import { choosePlatforms } from "./platform.ts";
import { normalName } from "./reference.ts";
import { type BlobStore, readJsonBlob } from "./store.ts";

type Json = Record<string, unknown>;

/** An image without its name, or why a manifest is none. */
type Manifest = { arch: string; config: Descriptor; layers: Descriptor[] } | { artifact: string };

/** Where in a layout a descriptor stands. */
interface Place {
  name: string;
  said?: string;
  indexes: Descriptor[];
}

/** Collects what the descriptors of a layout's index lead to. Each manifest is read once, however often it is listed. */
export class LayoutReader {
  readonly images: LayoutImage[] = [];
  readonly binaries: LayoutBinary[] = [];
  readonly manifests: LayoutManifest[] = [];
  readonly blobs = new Map<string, Descriptor>();
  readonly leftOut: string[] = [];
  readonly absent: { name: string; arch: string }[] = [];
  readonly #read = new Map<string, Manifest>();
  readonly #architectures = new Map<string, string | undefined>();
  readonly #seen = new Set<string>();
  #bytes = 0;

  constructor(
    readonly store: BlobStore,
    readonly others: boolean,
  ) {}

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
    else if (this.others) this.#leaveOut(what, `${artifactKind([mediaType])}, not an image`);
    else throw wrongType(what, mediaType);
  }

  #index(descriptor: Descriptor, place: Place, what: string): void {
    if (place.indexes.length >= LIMITS.indexDepth)
      throw new KubestickError(`${what}: indexes stand in each other more than ${LIMITS.indexDepth} deep`);
    const listed = readChildren(this.#json(descriptor, what), what);
    const here = listed.filter((child) => this.store.size(child.digest) !== undefined);
    if (!this.others && here.length < listed.length) this.#known(listed.find((child) => !here.includes(child))!, what);
    const { chosen, others } = choosePlatforms(here);
    for (const arch of choosePlatforms(listed).chosen.keys())
      if (!chosen.has(arch)) this.absent.push({ name: place.name || what, arch });
    const unnamed = others.filter((child) => child.platform === undefined);
    const inside = { ...place, indexes: [...place.indexes, descriptor] };
    for (const child of [...chosen.values(), ...unnamed]) {
      const own = place.name === "" && !place.said ? nameOf(child.annotations ?? {}) : {};
      this.#visit(child, { ...inside, ...own });
    }
  }

  #manifest(descriptor: Descriptor, place: Place, what: string): void {
    const known = this.#read.get(descriptor.digest);
    const manifest = known ?? this.#readManifest(descriptor, what);
    if (!manifest) return;
    this.#read.set(descriptor.digest, manifest);
    if ("artifact" in manifest) {
      this.#leaveOut(what, `${manifest.artifact}, not an image`);
      return;
    }
    const listed = descriptor.platform?.architecture ?? manifest.arch;
    if (listed !== manifest.arch) {
      if (!this.others)
        throw new KubestickError(`${what} is for ${manifest.arch}, but is listed for ${listed.slice(0, 100)}`);
      this.#leaveOut(what, `it is listed for ${listed.slice(0, 100)}, but its config says ${manifest.arch}`);
      return;
    }
    if (this.images.length >= LIMITS.images)
      throw new KubestickError(`${this.store.path} lists more than ${LIMITS.images} images`, {
        hint: "make several bundles of it",
      });
    const { name, said, indexes } = place;
    this.images.push({
      name,
      ...(name === "" && said ? { said } : {}),
      ...manifest,
      manifest: { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size },
      ...(indexes.length > 0 ? { indexes } : {}),
    });
  }

  /** A manifest's image; undefined for one of kubestick's own artifacts, whose files are noted at once. */
  #readManifest(descriptor: Descriptor, what: string): Manifest | undefined {
    const manifest = this.#json(descriptor, what);
    if (manifest["manifests"] !== undefined)
      throw new KubestickError(`${what}: its manifest is an index at the same time`);
    const config = readDescriptor(manifest["config"], `${what}: its config`);
    const list = objectList(manifest["layers"], `${what}: its layers`);
    if (list.length > LIMITS.layers) throw new KubestickError(`${what} has more than ${LIMITS.layers} layers`);
    const layers = list.map((layer, i) => readDescriptor(layer, `${what}: its layer ${i}`));
    const type = manifest["artifactType"];
    if (type === HOST_BINARIES || type === USER_MANIFESTS) {
      for (const blob of [config, ...layers]) this.#known(blob, what);
      if (type === HOST_BINARIES) this.#hostBinaries(layers, descriptor.platform?.architecture, what);
      else this.#userManifests(layers, what);
      if (this.binaries.length + this.manifests.length > LIMITS.images)
        throw new KubestickError(`${this.store.path} has more than ${LIMITS.images} host binaries and manifests`);
      return undefined;
    }
    const wrong = layers.filter(({ mediaType }) => ![...LAYER_TYPES, ...FOREIGN_LAYER_TYPES].includes(mediaType));
    const isImage = CONFIG_TYPES.includes(config.mediaType) && (layers.length === 0 || wrong.length < layers.length);
    if (isImage && wrong[0]) throw wrongType(`${what}: a layer`, wrong[0].mediaType);
    const arch = isImage ? this.#architecture(config, what) : undefined;
    if (arch !== undefined)
      return { arch, config: this.#known(config, what), layers: layers.map((layer) => this.#layer(layer, what)) };
    if (this.others)
      return { artifact: artifactKind([typeof type === "string" ? type : "", config, ...layers].map(typeOf)) };
    if (!CONFIG_TYPES.includes(config.mediaType)) throw wrongType(`${what}: its config`, config.mediaType);
    if (wrong[0]) throw wrongType(`${what}: a layer`, wrong[0].mediaType);
    throw new KubestickError(`${what}: its config names no architecture of Linux`);
  }

  /** The architecture that a config says; undefined where it is for another system than Linux, or none. */
  #architecture(config: Descriptor, what: string): string | undefined {
    if (!this.#architectures.has(config.digest)) {
      const { architecture: arch, os = "linux" } = this.#json(config, `${what}: its config`);
      this.#architectures.set(
        config.digest,
        typeof arch === "string" && /^[a-z0-9]{1,32}$/.test(arch) && arch !== "unknown" && os === "linux"
          ? arch
          : undefined,
      );
    }
    return this.#architectures.get(config.digest);
  }

  #layer(layer: Descriptor, what: string): Descriptor {
    if (FOREIGN_LAYER_TYPES.includes(layer.mediaType) && this.store.size(layer.digest) === undefined)
      throw new KubestickError(
        `${what}: a layer is not in it, because it may only be had from its maker (${layer.mediaType})`,
        {
          hint: "kubestick takes such an image only from an archive that has all of its layers",
        },
      );
    return this.#known(layer, what);
  }

  #hostBinaries(layers: Descriptor[], arch: string | undefined, what: string): void {
    for (const blob of layers) {
      const { annotations = {}, mediaType } = blob;
      if (mediaType !== HOST_BINARY_RAW && mediaType !== HOST_BINARY_TGZ) throw wrongType(`${what}: a file`, mediaType);
      const [name, version, title] = [ANNOTATION_BINARY, ANNOTATION_VERSION, ANNOTATION_TITLE].map(
        (k) => annotations[k],
      );
      if (!name || !version || !title || !arch || !Object.hasOwn(ARCHITECTURES, arch))
        throw new KubestickError(`${what}: the host binary ${blob.digest} has no name, version, title or platform`);
      this.binaries.push({ name, version, arch, title, archive: mediaType === HOST_BINARY_TGZ, blob });
    }
  }

  #userManifests(files: Descriptor[], what: string): void {
    for (const blob of files) {
      if (blob.mediaType !== USER_MANIFEST_YAML) throw wrongType(`${what}: a file`, blob.mediaType);
      this.manifests.push({ title: blob.annotations?.[ANNOTATION_TITLE] ?? blob.digest, blob });
    }
  }

  /** Notes the indexes that images were published in, which must list them. */
  #publish(digests: string, images: LayoutImage[]): void {
    const what = `${this.store.path}: ${images[0]?.name || "an image"}`;
    const list = digests.split(",", LIMITS.indexDepth + 1);
    const listed = new Set<string>();
    const indexes = list.map((digest): Descriptor => {
      const size = isDigest(digest) ? this.store.size(digest) : undefined;
      if (size === undefined) throw new KubestickError(`${what} lacks an index that it says it was published in`);
      const index = this.#json({ mediaType: OCI_INDEX, digest, size }, what);
      for (const child of readChildren(index, what)) listed.add(child.digest);
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

  #json(descriptor: Descriptor, what: string): Json {
    this.#known(descriptor, what);
    this.#bytes += descriptor.size;
    if (this.#bytes > LIMITS.metadataBytes)
      throw new KubestickError(
        `${this.store.path} has more than ${LIMITS.metadataBytes} bytes of manifests and configs`,
      );
    return parseObject(readJsonBlob(this.store, descriptor), what);
  }

  /** Notes a blob, which must be there with its length; two descriptors of one blob must agree. */
  #known({ mediaType, digest, size: wanted }: Descriptor, what: string): Descriptor {
    const size = this.store.size(digest);
    const hint = "copy or create it again";
    if (size === undefined) throw new KubestickError(`${what} lacks the blob ${digest}`, { hint });
    if (size !== wanted)
      throw new KubestickError(`${what}: the blob ${digest} has ${size} bytes, not ${wanted}`, { hint });
    const known = this.blobs.get(digest);
    if (known?.mediaType === mediaType) return known;
    const descriptor = { mediaType, digest, size };
    if (!known) this.blobs.set(digest, descriptor);
    if (this.blobs.size > LIMITS.members)
      throw new KubestickError(`${this.store.path} has more than ${LIMITS.members} blobs`);
    return descriptor;
  }

  #leaveOut(what: string, why: string): void {
    if (this.leftOut.length < LIMITS.images) this.leftOut.push(`${what}: ${why}`);
  }

  #what({ digest }: Descriptor, { name, said }: Place): string {
    return `${this.store.path}: ${name || said?.slice(0, 300) || digest}`;
  }
}

/** An image's name out of a descriptor's annotations; a bare tag, and what is no name, is only what it is said to be. */
function nameOf(annotations: Record<string, string>): { name: string; said?: string } {
  const full = annotations[ANNOTATION_CONTAINERD_NAME];
  const said = full || annotations[ANNOTATION_REF_NAME];
  if (!said) return { name: "" };
  // By the OCI specification a reference is a tag; skopeo, podman and others write whole names there.
  const name = full || /[/:@]/.test(said) ? normalName(said) : undefined;
  return { name: name ?? "", said };
}

/** The descriptors of an index. Throws KubestickError for one that is a manifest at the same time (CVE-2021-41190), too. */
function readChildren(index: Json, what: string): Descriptor[] {
  if (index["layers"] !== undefined || index["config"] !== undefined)
    throw new KubestickError(`${what}: its index is a manifest at the same time`);
  const list = objectList(index["manifests"], `${what}: its manifests`);
  if (list.length > LIMITS.images)
    throw new KubestickError(`${what}: its index lists more than ${LIMITS.images} manifests`);
  return list.map((child, i) => readDescriptor(child, `${what}: its manifest ${i}`));
}

const typeOf = (blob: Descriptor | string) => (typeof blob === "string" ? blob : blob.mediaType);

/** What an artifact of these media types is, in words. */
function artifactKind(types: string[]): string {
  const known = ARTIFACT_KINDS.find(([pattern]) => types.some((type) => pattern.test(type)));
  return known?.[1] ?? `an artifact of the type ${JSON.stringify((types.find(Boolean) ?? "").slice(0, 200))}`;
}

function wrongType(what: string, mediaType: string): KubestickError {
  return new KubestickError(
    `${what} is of the media type ${JSON.stringify(mediaType.slice(0, 200))}, which a bundle does not hold`,
  );
}

/** The error for an image in Docker's first manifest format. */
export function oldSchema(what: string): KubestickError {
  return new KubestickError(`${what} is an image in Docker's old format (schema 1), which containerd does not take`, {
    hint: "copy it in today's format: skopeo copy --format v2s2 SOURCE DESTINATION",
  });
}
