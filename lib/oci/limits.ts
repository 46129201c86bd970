/**
 * What a bundle, an archive or a registry's answer may have. All of them come from outside, and each of these numbers is far
 * above what is in use and low enough for a board of 1 GB. What is above is refused, and the error states the limit.
 */
export const LIMITS = {
  /** Bytes of a manifest, index or config, or of a file of Kubernetes manifests (OCI distribution-spec 1.1: registries should take manifests of 4 MiB). */
  jsonBytes: 4 * 1024 * 1024,
  /** Values in one of them, and how deep they may be nested. */
  jsonValues: 100_000,
  jsonDepth: 64,
  /** Bytes of all manifests, indexes and configs of one archive together. */
  metadataBytes: 32 * 1024 * 1024,
  /** Names of images in one archive, each counted for each architecture. */
  images: 1_000,
  /** Docker stops at 127. */
  layers: 256,
  /** How deep an index may stand in another. */
  indexDepth: 4,
  /** Members of a tar. */
  members: 8_000,
  /** Members of all archives that are taken together, and how many files those may be. */
  allMembers: 16_000,
  files: 1_000,
  /** Bytes of a member's name in an extended header. */
  nameBytes: 512,
} as const;
