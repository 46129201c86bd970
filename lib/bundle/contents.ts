import type { HostBinary } from "../binaries/host-binary.ts";
import {
  ANNOTATION_BINARY,
  ANNOTATION_KUBERNETES,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  ARCHITECTURES,
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  USER_YAML,
  USER_YAML_FILES,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { BlobRef } from "../oci/descriptor.ts";
import type { Image } from "../oci/image.ts";
import { type Layout, readLayout } from "../oci/layout.ts";
import type { Artifact, LayoutOptions } from "../oci/layout-reader.ts";
import { wrongType } from "../oci/manifest.ts";
import type { BlobStore } from "../oci/store.ts";
import { parseVersion } from "../util/version.ts";

/** A file of Kubernetes manifests that the user put in. */
export interface UserYaml {
  title: string;
  blob: BlobRef;
}

/** What a bundle is made of. */
export interface Contents {
  kubernetesVersion: string | undefined;
  images: Image[];
  binaries: HostBinary[];
  userYaml: UserYaml[];
}

/** What was found in an image layout, or in something that counts as one. */
export interface FoundContents extends Contents, Pick<Layout, "leftOut" | "absent"> {}

/** Images and binaries that lie on this machine. */
export interface LocalContent {
  store: BlobStore;
  contents: FoundContents;
  /** Closes its files. */
  close(): void;
}

/** What holds nothing. */
export const NO_CONTENTS: FoundContents = {
  kubernetesVersion: undefined,
  images: [],
  binaries: [],
  userYaml: [],
  leftOut: [],
  absent: [],
};

/**
 * Reads a bundle: an image layout, in which host binaries and the user's YAML are artifacts of kubestick's own. Throws
 * KubestickError as readLayout does, and for artifacts that are not as they should be.
 */
export function readContents(
  store: BlobStore,
  options: Pick<LayoutOptions, "foreign"> = {},
): FoundContents & Pick<Layout, "blobs"> {
  const layout = readLayout(store, { ...options, artifacts: [HOST_BINARIES, USER_YAML_FILES] });
  const ofType = (type: string) => layout.artifacts.filter((artifact) => artifact.type === type);
  const { images, blobs, leftOut, absent } = layout;
  return {
    images,
    blobs,
    leftOut,
    absent,
    binaries: ofType(HOST_BINARIES).flatMap(hostBinaries),
    userYaml: ofType(USER_YAML_FILES).flatMap(userYaml),
    kubernetesVersion: kubernetesVersion(layout.annotations[ANNOTATION_KUBERNETES], store.path),
  };
}

function hostBinaries({ files, arch, what }: Artifact): HostBinary[] {
  return files.map((blob) => {
    const { annotations = {}, mediaType, digest } = blob;
    if (mediaType !== HOST_BINARY_RAW && mediaType !== HOST_BINARY_TGZ) throw wrongType(`${what}: a file`, mediaType);
    const { [ANNOTATION_BINARY]: name, [ANNOTATION_VERSION]: version, [ANNOTATION_TITLE]: title } = annotations;
    if (!name || !version || !title || !arch || !Object.hasOwn(ARCHITECTURES, arch))
      throw new KubestickError(`${what}: the host binary ${digest} has no name, version, title or platform`);
    return { name, version, arch, title, archive: mediaType === HOST_BINARY_TGZ, blob };
  });
}

function userYaml({ files, what }: Artifact): UserYaml[] {
  return files.map((blob) => {
    if (blob.mediaType !== USER_YAML) throw wrongType(`${what}: a file`, blob.mediaType);
    return { title: blob.annotations?.[ANNOTATION_TITLE] ?? blob.digest, blob };
  });
}

function kubernetesVersion(said: unknown, path: string): string | undefined {
  if (said === undefined || (typeof said === "string" && /^v\d/.test(said) && parseVersion(said))) return said;
  throw new KubestickError(
    `${path} says that it is for Kubernetes ${(JSON.stringify(said) ?? "").slice(0, 100)}, which is no version`,
    { hint: "make bundles with: kubestick bundle create" },
  );
}
