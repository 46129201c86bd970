/** Media types, annotations and file names of the OCI image specification 1.1, and kubestick's own beside them. */
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/** Docker's first manifest format, which containerd 2 no longer takes. */
export const DOCKER_SCHEMA1 = [
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

export const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
export const CONFIG_TYPES: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];
export const LAYER_TYPES: readonly string[] = [
  OCI_LAYER,
  `${OCI_LAYER}+gzip`,
  `${OCI_LAYER}+zstd`,
  DOCKER_LAYER,
  `${DOCKER_LAYER}.gzip`,
  `${DOCKER_LAYER}.zstd`,
];
/** Layers that registries need not have (the base layers of Windows), and that name other places by their URLs. */
export const FOREIGN_LAYER_TYPES: readonly string[] = [
  ...["", "+gzip", "+zstd"].map((suffix) => `application/vnd.oci.image.layer.nondistributable.v1.tar${suffix}`),
  ...["", ".gzip"].map((suffix) => `application/vnd.docker.image.rootfs.foreign.diff.tar${suffix}`),
];

/** What lies beside images in registries and layouts, by the media types of its config and layers. */
export const ARTIFACT_KINDS: readonly [RegExp, string][] = [
  [/^application\/vnd\.dev\.(cosign|sigstore)\./, "a signature"],
  [/^application\/vnd\.cncf\.helm\./, "a Helm chart"],
  [/^application\/vnd\.in-toto/, "an attestation"],
  [/spdx|cyclonedx/, "a bill of materials"],
];

/** The artifact that holds an architecture's host binaries, and its layers: each exactly the file that upstream published. */
export const HOST_BINARIES = "application/vnd.kubestick.host-binaries.v1";
export const HOST_BINARY_RAW = "application/vnd.kubestick.host-binary.v1";
export const HOST_BINARY_TGZ = "application/vnd.kubestick.host-binary.v1.tar+gzip";

/** The artifact that holds YAML of the user's own, files of Kubernetes manifests, and its layers: a file each. */
export const USER_YAML_FILES = "application/vnd.kubestick.manifests.v1";
export const USER_YAML = "application/vnd.kubestick.manifest.v1+yaml";

export const LAYOUT_FILE = "oci-layout";
export const INDEX_FILE = "index.json";
export const BLOBS_DIR = "blobs/sha256";
export const LAYOUT_VERSION = "1.0.0";

/** The reference an image is known by: skopeo and oras read the first, containerd the second. */
export const ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name";
export const ANNOTATION_CONTAINERD_NAME = "io.containerd.image.name";
export const ANNOTATION_TITLE = "org.opencontainers.image.title";
export const ANNOTATION_VERSION = "org.opencontainers.image.version";
/** The digests of the indexes that an image was published in, outermost first, which a bundle has as blobs beside it. */
export const ANNOTATION_INDEXES = "dev.kubestick.indexes";
export const ANNOTATION_KUBERNETES = "dev.kubestick.kubernetes-version";
/** Which component a host binary's layer is: kubelet, containerd, cni-plugins. */
export const ANNOTATION_BINARY = "dev.kubestick.host-binary";

/** What containerd's CRI reports as pinned, so that the kubelet's image collection leaves it alone. */
export const LABEL_PINNED = "io.cri-containerd.pinned";

/** The architectures a bundle can be for, by their Go names, with the machine number in an ELF header (elf.h). */
export const ARCHITECTURES: Record<string, number> = { amd64: 62, arm64: 183 };
