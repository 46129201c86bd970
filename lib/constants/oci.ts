/** The media type of an index of the OCI image specification 1.1 (image-index.md). */
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
/** That of a manifest (manifest.md). */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** That of an image's config (config.md). */
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
/** That of an artifact's empty config (manifest.md, guidance for an empty descriptor). */
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json";
/** That of a layer that is not compressed (layer.md); others have what they are compressed with behind it. */
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
/** Docker's own for an index (distribution, manifest-v2-2.md). */
export const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
/** Docker's own for a manifest. */
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
/** Docker's own for a config. */
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
/** Docker's own for a layer that is not compressed. */
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/** Docker's first manifest format, which containerd 2 no longer takes. */
export const DOCKER_SCHEMA1 = [
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/** The media types of indexes. */
export const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
/** The media types of manifests. */
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
/** The media types of images' configs. */
export const CONFIG_TYPES: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];
/** The media types of layers that containerd unpacks. */
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

/** The type of the artifact that holds an architecture's host binaries; a layer each, exactly the file that upstream published. */
export const HOST_BINARIES = "application/vnd.kubestick.host-binaries.v1";
/** The media type of a host binary that is published as the program itself. */
export const HOST_BINARY_RAW = "application/vnd.kubestick.host-binary.v1";
/** The media type of one that is published as an archive. */
export const HOST_BINARY_TGZ = "application/vnd.kubestick.host-binary.v1.tar+gzip";

/** The type of the artifact that holds YAML of the user's own, files of Kubernetes manifests; a layer each. */
export const USER_YAML_FILES = "application/vnd.kubestick.manifests.v1";
/** The media type of one of these files. */
export const USER_YAML = "application/vnd.kubestick.manifest.v1+yaml";

/** The file of an image layout that says that it is one (image-layout.md). */
export const LAYOUT_FILE = "oci-layout";
/** The version that it says. */
export const LAYOUT_VERSION = "1.0.0";
/** The file that lists what is in a layout. */
export const INDEX_FILE = "index.json";
/** The directory of a layout's blobs. */
export const BLOBS_DIR = "blobs/sha256";

/** The reference that an image is known by, as skopeo and oras read it (annotations.md). */
export const ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name";
/** The same, as containerd reads it. */
export const ANNOTATION_CONTAINERD_NAME = "io.containerd.image.name";
/** A file's name. */
export const ANNOTATION_TITLE = "org.opencontainers.image.title";
/** The version of what is in a file. */
export const ANNOTATION_VERSION = "org.opencontainers.image.version";
/** The digests of the indexes that an image was published in, outermost first, which a bundle has as blobs beside it. */
export const ANNOTATION_INDEXES = "dev.kubestick.indexes";
/** Which Kubernetes a bundle is for. */
export const ANNOTATION_KUBERNETES = "dev.kubestick.kubernetes-version";
/** Which component a host binary's layer is: kubelet, containerd, cni-plugins. */
export const ANNOTATION_BINARY = "dev.kubestick.host-binary";

/** Docker Hub, by the name that images have, and that containerd knows it by (distribution/reference). */
export const DOCKER_HUB = "docker.io";
/** Where Docker Hub's registry answers. */
export const DOCKER_HUB_REGISTRY = "registry-1.docker.io";
/** The name that Docker itself wrote in earlier years, and that `docker login` still writes down. */
export const DOCKER_HUB_LEGACY = "index.docker.io";

/** What containerd's CRI reports as pinned, so that the kubelet's image collection leaves it alone. */
export const LABEL_PINNED = "io.cri-containerd.pinned";

/** The architectures a bundle can be for, by their Go names, with the machine number in an ELF header (elf.h). */
export const ARCHITECTURES: Record<string, number> = { amd64: 62, arm64: 183 };
