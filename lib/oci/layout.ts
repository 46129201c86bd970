import { INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { type Descriptor, readDescriptor } from "./descriptor.ts";
import type { Image } from "./image.ts";
import { objectList, parseObject } from "./json.ts";
import { type Artifact, type LayoutOptions, LayoutReader } from "./layout-reader.ts";
import type { BlobStore } from "./store.ts";

/** What an OCI image layout holds. */
export interface Layout {
  images: Image[];
  /** Of the types that were looked for. */
  artifacts: Artifact[];
  /** Those of the index, of which nothing is known yet. */
  annotations: Plain;
  /** Every blob that anything here refers to, once. */
  blobs: Descriptor[];
  /** What else is in it, in words. */
  leftOut: string[];
  /** Images that it lists for an architecture and has not got. */
  absent: { name: string; arch: string }[];
}

/**
 * Reads an image layout (OCI image-spec 1.1 image-layout.md): index, manifests and configs, all verified. Layers and
 * an artifact's files are only looked for; `verifiedChunks` reads them. Throws KubestickError for anything that is not as it
 * should be: other media types, missing blobs, wrong sizes, more than LIMITS.
 */
export function readLayout(store: BlobStore, options: LayoutOptions = {}): Layout {
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
  const { manifests, annotations } = parseObject(indexFile, `${store.path}: ${INDEX_FILE}`);
  const reader = new LayoutReader(store, options);
  for (const [i, entry] of objectList(manifests, `${store.path}: the index' manifests`).entries())
    reader.read(readDescriptor(entry, `${store.path}: manifest ${i} of the index`));
  const { images, artifacts, leftOut, absent } = reader;
  return {
    images,
    artifacts,
    annotations: isPlain(annotations) ? annotations : {},
    blobs: [...reader.blobs.values()],
    leftOut,
    absent,
  };
}
