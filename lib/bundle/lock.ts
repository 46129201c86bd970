import { readDocuments } from "../config/document.ts";
import { ConfigError } from "../config/problems.ts";
import { checked, intBetween, list, map, object, oneOf, type Schema, string } from "../config/schema.ts";
import { hostBinaryKind } from "../constants/host-binaries.ts";
import { ARCHITECTURES, MANIFEST_TYPES } from "../constants/oci.ts";
import { isDigest } from "../oci/descriptor.ts";
import { parseReference } from "../oci/reference.ts";
import { sortedYaml } from "../yaml/write.ts";

/** Where one architecture's manifest of an image is; what else is known of it spares a question. */
export interface LockedManifest {
  digest: string;
  mediaType?: string;
  size?: number;
}

/** An image, by the digest of its manifest for each architecture, or by that of the index that names them. */
export interface LockedImage {
  name: string;
  index?: string;
  manifests: Record<string, LockedManifest>;
}

/** A host binary, by the file that upstream publishes for each architecture; one without a file is known to be missing. */
export interface LockedBinary {
  name: string;
  version: string;
  files: Record<string, { url: string; sha256: string }>;
}

/** Everything that a bundle is made of, pinned. */
export interface BundleLock {
  kubernetesVersion: string;
  images: LockedImage[];
  binaries: LockedBinary[];
}

/** A lock of hundreds of images for every architecture. */
const MAX_BYTES = 1024 * 1024;

const API_VERSION = "bundle.kubestick.dev/v1alpha1";
const KIND = "BundleLock";

const check = (ok: (value: string) => boolean, must: string) => checked((v) => (ok(v) ? undefined : `must be ${must}`));
const byArch = (of: Schema): Schema => map(of);
const digestText = check(isDigest, "sha256: and 64 hexadecimal digits");

const SCHEMA = object(
  {
    apiVersion: string,
    kind: string,
    kubernetesVersion: check((v) => /^v\d+\.\d+\.\d+\S*$/.test(v), "a version such as v1.36.2"),
    images: list(
      object(
        {
          name: checked((v) => {
            try {
              return parseReference(v).name === v ? undefined : `must be written in full: ${parseReference(v).name}`;
            } catch (error) {
              return (error as Error).message;
            }
          }),
          index: digestText,
          manifests: byArch(
            object({ mediaType: oneOf(...MANIFEST_TYPES), digest: digestText, size: intBetween(1, 8 * 1024 * 1024) }, [
              "digest",
            ]),
          ),
        },
        ["name", "manifests"],
      ),
    ),
    binaries: list(
      object(
        {
          name: check((v) => hostBinaryKind(v) !== undefined, "a host binary that kubestick knows"),
          version: string,
          files: byArch(
            object(
              {
                url: check((v) => URL.canParse(v) && /^https?:/.test(v), "an https URL"),
                sha256: check((v) => /^[0-9a-f]{64}$/.test(v), "64 hexadecimal digits"),
              },
              ["url", "sha256"],
            ),
          ),
        },
        ["name", "version", "files"],
      ),
    ),
  },
  ["kubernetesVersion", "images", "binaries"],
);

/** Reads a lock file's text, strictly. Throws ConfigError with every problem, its line and path. */
export function parseLock(text: string, file: string): BundleLock {
  const { documents, problems } = readDocuments(text, file, MAX_BYTES);
  const document = documents[0];
  if (!document || documents.length > 1 || document.apiVersion !== API_VERSION || document.kind !== KIND) {
    problems.push({
      file,
      line: document?.startLine ?? 1,
      path: "document",
      message: `must be one document with apiVersion: ${API_VERSION} and kind: ${KIND}; kubestick bundle lock writes it`,
    });
    throw new ConfigError(problems);
  }
  const lock = document.read(SCHEMA) as unknown as BundleLock;
  for (const [kind, items] of [
    ["images", lock.images],
    ["binaries", lock.binaries],
  ] as const) {
    for (const [i, item] of (items ?? []).entries()) {
      const field = "manifests" in item ? "manifests" : "files";
      for (const arch of Object.keys("manifests" in item ? (item.manifests ?? {}) : (item.files ?? {})))
        if (!Object.hasOwn(ARCHITECTURES, arch))
          document.report(`${kind}[${i}].${field}.${arch}`, `must be one of ${Object.keys(ARCHITECTURES).join(", ")}`);
      if (items.findIndex((other) => other.name === item.name) !== i)
        document.report(`${kind}[${i}].name`, `${item.name} is given twice; keep one of the two`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return lock;
}

/** What a lock lacks of all that it names, for some architectures: each as `kubelet v1.37.1`, with what it is missing for. */
export function lacking(lock: BundleLock, architectures: string[]): { what: string; archs: string[] }[] {
  const missing = (has: (arch: string) => boolean) => architectures.filter((arch) => !has(arch));
  return [
    ...lock.images.map(({ name, index, manifests }) => ({
      what: name,
      archs: missing((arch) => index !== undefined || Object.hasOwn(manifests, arch)),
    })),
    ...lock.binaries.map(({ name, version, files }) => ({
      what: `${name} ${version}`,
      archs: missing((arch) => Object.hasOwn(files, arch)),
    })),
  ].filter(({ archs }) => archs.length > 0);
}

/** A lock as the text of its file; the same lock is the same text. */
export function formatLock(lock: BundleLock): string {
  const byName = <T extends { name: string }>(items: T[]) => [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
  return `# Written by kubestick bundle lock; what is pinned here stays as it is.\n${sortedYaml({
    apiVersion: API_VERSION,
    kind: KIND,
    ...lock,
    images: byName(lock.images),
    binaries: byName(lock.binaries),
  })}`;
}
