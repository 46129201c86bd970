import { OCI_INDEX } from "../constants/oci.ts";
import { type Descriptor, plainDescriptor } from "./descriptor.ts";

/** An image of one architecture. */
export interface Image {
  /** Its whole name as containerd's CRI looks for it; empty where it has none. */
  name: string;
  /** What the layout calls it, where that is no name: a bare tag. */
  rawName?: string;
  arch: string;
  manifest: Descriptor;
  config: Descriptor;
  layers: Descriptor[];
  /** The indexes that it was published in, outermost first: by their digests it can be asked for, too. */
  indexes?: Descriptor[];
}

/** Every blob that an image is made of, and the indexes that it was published in. */
export function imageBlobs({ manifest, config, layers, indexes = [] }: Image): Descriptor[] {
  return [manifest, config, ...layers, ...indexes];
}

/** What an index has of an image of one architecture. */
export const indexEntry = ({ manifest, arch }: Pick<Image, "manifest" | "arch">): Descriptor => ({
  ...plainDescriptor(manifest),
  platform: { architecture: arch, os: "linux" },
});

/** The text of an index (OCI image-spec 1.1 image-index.md). */
export function indexText(manifests: Descriptor[], annotations?: Record<string, string>): Buffer {
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests, ...(annotations ? { annotations } : {}) };
  return Buffer.from(JSON.stringify(index));
}
