import {
  ANNOTATION_BINARY,
  ANNOTATION_CONTAINERD_NAME,
  ANNOTATION_KUBERNETES,
  ANNOTATION_REF_NAME,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  CONFIG_TYPES,
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  INDEX_FILE,
  INDEX_TYPES,
  LAYER_TYPES,
  LAYOUT_FILE,
  LAYOUT_VERSION,
  MANIFEST_TYPES,
  USER_MANIFEST_YAML,
  USER_MANIFESTS,
} from "../constants/oci.ts";
import { KubestickError } from "../host/errors.ts";
import { type Descriptor, objectList, parseObject, readDescriptor } from "./descriptor.ts";
import { type BlobStore, readJsonBlob } from "./store.ts";

/** An image of one architecture. */
export interface LayoutImage {
  name: string;
  arch: string;
  manifest: Descriptor;
  config: Descriptor;
  layers: Descriptor[];
}

/** A host binary's published file, of one architecture. */
export interface LayoutBinary {
  /** Which component it is: kubelet, containerd, cni-plugins. */
  name: string;
  version: string;
  arch: string;
  /** The file's name as published. */
  title: string;
  archive: boolean;
  blob: Descriptor;
}

/** A file of Kubernetes manifests that the user put in. */
export interface LayoutManifest {
  title: string;
  blob: Descriptor;
}

/** What an OCI image layout holds, as kubestick understands it. */
export interface Layout {
  kubernetesVersion: string | undefined;
  images: LayoutImage[];
  binaries: LayoutBinary[];
  manifests: LayoutManifest[];
  /** Every blob that anything here refers to, once. */
  blobs: Descriptor[];
}

/**
 * Reads an image layout (OCI image-spec 1.1 image-layout.md): index, manifests and configs, all verified. Layers and
 * binaries are only looked for; `verifyBlob` reads them. Throws KubestickError for anything that is not as it should
 * be: other media types, missing blobs, wrong sizes.
 */
export function readLayout(store: BlobStore): Layout {
  const layoutFile = store.file(LAYOUT_FILE);
  const indexFile = store.file(INDEX_FILE);
  if (!layoutFile || !indexFile)
    throw new KubestickError(`${store.path} is no bundle: it has no ${layoutFile ? INDEX_FILE : LAYOUT_FILE}`, {
      hint: "make bundles with: kubestick bundle create",
    });
  const version = parseObject(layoutFile, `${store.path}: ${LAYOUT_FILE}`)["imageLayoutVersion"];
  if (version !== LAYOUT_VERSION)
    throw new KubestickError(
      `${store.path} is an image layout of version ${JSON.stringify(version)}, not ${LAYOUT_VERSION}`,
    );
  const index = parseObject(indexFile, `${store.path}: ${INDEX_FILE}`);
  const reader = new LayoutReader(store);
  for (const [i, entry] of objectList(index["manifests"], `${store.path}: the index' manifests`).entries())
    reader.read(readDescriptor(entry, `${store.path}: manifest ${i} of the index`));
  const kubernetes = (index["annotations"] as Record<string, unknown> | undefined)?.[ANNOTATION_KUBERNETES];
  return {
    kubernetesVersion: typeof kubernetes === "string" ? kubernetes : undefined,
    images: reader.images,
    binaries: reader.binaries,
    manifests: reader.manifests,
    blobs: [...reader.blobs.values()],
  };
}

class LayoutReader {
  readonly images: LayoutImage[] = [];
  readonly binaries: LayoutBinary[] = [];
  readonly manifests: LayoutManifest[] = [];
  readonly blobs = new Map<string, Descriptor>();

  constructor(readonly store: BlobStore) {}

  read(descriptor: Descriptor, inherited?: string): void {
    const { annotations = {}, mediaType, digest } = descriptor;
    const name = annotations[ANNOTATION_CONTAINERD_NAME] ?? annotations[ANNOTATION_REF_NAME] ?? inherited ?? "";
    const what = `${this.store.path}: ${name || digest}`;
    if (INDEX_TYPES.includes(mediaType)) {
      // An index inside an index inside an index is legal, made by nobody, and endless if allowed.
      if (inherited !== undefined) throw new KubestickError(`${what}: an index within an index is not taken`);
      const index = this.#json(descriptor, what);
      for (const [i, child] of objectList(index["manifests"], `${what}: its manifests`).entries())
        this.read(readDescriptor(child, `${what}: its manifest ${i}`), name);
      return;
    }
    if (!MANIFEST_TYPES.includes(mediaType)) throw wrongType(what, mediaType);
    const manifest = this.#json(descriptor, what);
    const config = readDescriptor(manifest["config"], `${what}: its config`);
    const layers = objectList(manifest["layers"], `${what}: its layers`).map((layer, i) =>
      this.#known(readDescriptor(layer, `${what}: its layer ${i}`), what),
    );
    this.#known(config, what);
    if (manifest["artifactType"] === HOST_BINARIES) {
      this.#binaries(layers, descriptor.platform?.architecture, what);
      return;
    }
    if (manifest["artifactType"] === USER_MANIFESTS) {
      for (const blob of layers) {
        if (blob.mediaType !== USER_MANIFEST_YAML) throw wrongType(`${what}: a file`, blob.mediaType);
        this.manifests.push({ title: blob.annotations?.[ANNOTATION_TITLE] ?? blob.digest, blob });
      }
      return;
    }
    if (!CONFIG_TYPES.includes(config.mediaType)) throw wrongType(`${what}: its config`, config.mediaType);
    const wrong = layers.find((layer) => !LAYER_TYPES.includes(layer.mediaType));
    if (wrong) throw wrongType(`${what}: a layer`, wrong.mediaType);
    const said = parseObject(readJsonBlob(this.store, config), `${what}: its config`)["architecture"];
    const arch = descriptor.platform?.architecture ?? said;
    if (typeof arch !== "string" || arch !== said)
      throw new KubestickError(`${what} is for ${String(said)}, but is listed for ${String(arch)}`);
    this.images.push({ name, arch, manifest: descriptor, config, layers });
  }

  #binaries(layers: Descriptor[], arch: string | undefined, what: string): void {
    for (const blob of layers) {
      const { annotations = {}, mediaType } = blob;
      if (mediaType !== HOST_BINARY_RAW && mediaType !== HOST_BINARY_TGZ) throw wrongType(`${what}: a file`, mediaType);
      const [name, version, title] = [ANNOTATION_BINARY, ANNOTATION_VERSION, ANNOTATION_TITLE].map(
        (k) => annotations[k],
      );
      if (!name || !version || !title || !arch)
        throw new KubestickError(`${what}: the host binary ${blob.digest} has no name, version, title or platform`);
      this.binaries.push({ name, version, arch, title, archive: mediaType === HOST_BINARY_TGZ, blob });
    }
  }

  #json(descriptor: Descriptor, what: string): Record<string, unknown> {
    return parseObject(readJsonBlob(this.store, this.#known(descriptor, what)), what);
  }

  /** Notes a blob, which must be there with its length; two descriptors of one blob must agree. */
  #known(descriptor: Descriptor, what: string): Descriptor {
    const size = this.store.size(descriptor.digest);
    if (size === undefined)
      throw new KubestickError(`${what} lacks the blob ${descriptor.digest}`, {
        hint: "copy or create the bundle again",
      });
    if (size !== descriptor.size)
      throw new KubestickError(`${what}: the blob ${descriptor.digest} has ${size} bytes, not ${descriptor.size}`);
    if (!this.blobs.has(descriptor.digest)) this.blobs.set(descriptor.digest, descriptor);
    return descriptor;
  }
}

function wrongType(what: string, mediaType: string): KubestickError {
  return new KubestickError(`${what} is of the media type ${JSON.stringify(mediaType)}, which a bundle does not hold`);
}
