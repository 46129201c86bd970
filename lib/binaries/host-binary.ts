import type { BlobRef } from "../oci/descriptor.ts";
import type { BlobStore } from "../oci/store.ts";

/** A host binary's file as upstream publishes it, for one architecture. */
export interface HostBinary {
  /** Which component it is: kubelet, containerd, cni-plugins. */
  name: string;
  version: string;
  arch: string;
  /** The file's name as published. */
  title: string;
  archive: boolean;
  blob: BlobRef;
}

/** Host binaries, and where their files are. */
export interface HostBinarySource {
  binaries: HostBinary[];
  store: BlobStore;
}
