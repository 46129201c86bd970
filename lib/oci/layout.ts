import { ANNOTATION_KUBERNETES, INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { parseVersion } from "../util/version.ts";
import { type Descriptor, objectList, parseObject, readDescriptor } from "./descriptor.ts";
import { LayoutReader } from "./layout-reader.ts";
import type { BlobStore } from "./store.ts";

/** An image of one architecture. */
export interface LayoutImage {
  /** Its whole name as containerd's CRI looks for it; empty where it has none. */
  name: string;
  /** What the layout calls it, where that is no name: a bare tag. */
  said?: string;
  arch: string;
  manifest: Descriptor;
  config: Descriptor;
  layers: Descriptor[];
  /** The indexes that it was published in, outermost first: by their digests it can be asked for, too. */
  indexes?: Descriptor[];
}

/** Every blob that an image is made of, and the indexes that it was published in. */
export function imageBlobs({ manifest, config, layers, indexes = [] }: LayoutImage): Descriptor[] {
  return [manifest, config, ...layers, ...indexes];
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
  /** What is in it and is nothing for a bundle, in words. */
  leftOut: string[];
  /** Images that it lists for an architecture and has not got. */
  absent: { name: string; arch: string }[];
}

/** What holds nothing. */
export const EMPTY_LAYOUT: Layout = {
  kubernetesVersion: undefined,
  images: [],
  binaries: [],
  manifests: [],
  blobs: [],
  leftOut: [],
  absent: [],
};

/**
 * Reads an image layout (OCI image-spec 1.1 image-layout.md): index, manifests and configs, all verified. Layers and
 * binaries are only looked for; `verifiedChunks` reads them. Throws KubestickError for anything that is not as it should
 * be: other media types, missing blobs, wrong sizes, more than LIMITS. With `others`, for layouts that other tools made,
 * artifacts and platforms that are not there are left out.
 */
export function readLayout(store: BlobStore, options: { others?: boolean } = {}): Layout {
  const layoutFile = store.file(LAYOUT_FILE);
  const indexFile = store.file(INDEX_FILE);
  if (!layoutFile || !indexFile)
    throw new KubestickError(`${store.path} is no bundle: it has no ${layoutFile ? INDEX_FILE : LAYOUT_FILE}`, {
      hint: "make bundles with: kubestick bundle create",
    });
  const version = parseObject(layoutFile, `${store.path}: ${LAYOUT_FILE}`)["imageLayoutVersion"];
  if (version !== LAYOUT_VERSION)
    throw new KubestickError(
      `${store.path} is an image layout of another version than ${LAYOUT_VERSION}${typeof version === "string" ? `: ${version.slice(0, 100)}` : ""}`,
    );
  const index = parseObject(indexFile, `${store.path}: ${INDEX_FILE}`);
  const reader = new LayoutReader(store, options.others ?? false);
  for (const [i, entry] of objectList(index["manifests"], `${store.path}: the index' manifests`).entries())
    reader.read(readDescriptor(entry, `${store.path}: manifest ${i} of the index`));
  const kubernetes = (index["annotations"] as Record<string, unknown> | null | undefined)?.[ANNOTATION_KUBERNETES];
  if (
    kubernetes !== undefined &&
    !(typeof kubernetes === "string" && /^v\d/.test(kubernetes) && parseVersion(kubernetes))
  )
    throw new KubestickError(
      `${store.path} says that it is for Kubernetes ${(JSON.stringify(kubernetes) ?? "").slice(0, 100)}, which is no version`,
      {
        hint: "make bundles with: kubestick bundle create",
      },
    );
  return {
    kubernetesVersion: kubernetes as string | undefined,
    images: reader.images,
    binaries: reader.binaries,
    manifests: reader.manifests,
    blobs: [...reader.blobs.values()],
    leftOut: reader.leftOut,
    absent: reader.absent,
  };
}
