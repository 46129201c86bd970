import { type ConfigDocument, readDocuments } from "../config/document.ts";
import { ConfigError } from "../config/problems.ts";
import * as s from "../config/schema.ts";
import { documentText, toDocument } from "../config/write.ts";
import { hostBinaryKind } from "../constants/host-binaries.ts";
import { ARCHITECTURES, MANIFEST_TYPES } from "../constants/oci.ts";
import { isDigest } from "../oci/descriptor.ts";
import { parseReference } from "../oci/reference.ts";

/** A lock of hundreds of images for every architecture. */
const MAX_BYTES = 1024 * 1024;

const check = (ok: (value: string) => boolean, must: string) =>
  s.checked((v) => (ok(v) ? undefined : `must be ${must}`));
const digest = check(isDigest, "sha256: and 64 hexadecimal digits");

const manifest = s.object(
  { mediaType: s.oneOf<string>(...MANIFEST_TYPES), digest, size: s.intBetween(1, 8 * 1024 * 1024) },
  ["digest"],
);
/** Where one architecture's manifest of an image is; what else is known of it spares a question. */
export type LockedManifest = s.Infer<typeof manifest>;

const image = s.object(
  {
    name: s.checked((v) => {
      try {
        return parseReference(v).name === v ? undefined : `must be written in full: ${parseReference(v).name}`;
      } catch (error) {
        return (error as Error).message;
      }
    }),
    index: digest,
    /** By architecture. */
    manifests: s.map(manifest),
  },
  ["name", "manifests"],
);
/** An image, by the digest of its manifest for each architecture, or by that of the index that names them. */
export type LockedImage = s.Infer<typeof image>;

const binary = s.object(
  {
    name: check((v) => hostBinaryKind(v) !== undefined, "a host binary that kubestick knows"),
    version: s.string,
    /** By architecture. */
    files: s.map(
      s.object(
        {
          url: check((v) => URL.canParse(v) && /^https?:/.test(v), "an https URL"),
          sha256: check((v) => /^[0-9a-f]{64}$/.test(v), "64 hexadecimal digits"),
        },
        ["url", "sha256"],
      ),
    ),
  },
  ["name", "version", "files"],
);
/** A host binary, by the file that upstream publishes for each architecture; one without a file is known to be missing. */
export type LockedBinary = s.Infer<typeof binary>;

const schema = s.document(
  {
    kubernetesVersion: check((v) => /^v\d+\.\d+\.\d+\S*$/.test(v), "a version such as v1.36.2"),
    images: s.list(image),
    binaries: s.list(binary),
  },
  ["kubernetesVersion", "images", "binaries"],
);
/** Everything that a bundle is made of, pinned. */
export type BundleLock = s.Infer<typeof schema>;

const LOCK = { apiVersion: "bundle.kubestick.dev/v1alpha1", kind: "BundleLock", schema };

/** Reads a lock file's text, strictly. Throws ConfigError with every problem, its line and path. */
export function parseLock(text: string, file: string): BundleLock {
  const { documents, problems } = readDocuments(text, file, MAX_BYTES);
  const document = documents[0];
  if (!document || documents.length > 1 || document.apiVersion !== LOCK.apiVersion || document.kind !== LOCK.kind) {
    problems.push({
      file,
      line: document?.startLine ?? 1,
      path: "document",
      message: `must be one document with apiVersion: ${LOCK.apiVersion} and kind: ${LOCK.kind}; kubestick bundle lock writes it`,
    });
    throw new ConfigError(problems);
  }
  const lock = document.read(schema);
  const { images = [], binaries = [] } = lock;
  checkItems(
    document,
    "images",
    "manifests",
    images.map(({ name, manifests }) => [name, manifests]),
  );
  checkItems(
    document,
    "binaries",
    "files",
    binaries.map(({ name, files }) => [name, files]),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return lock as BundleLock;
}

/** Checks what a list of a lock's says by architecture, and that it names nothing twice. */
function checkItems(
  document: ConfigDocument,
  list: string,
  field: string,
  items: [name: string | undefined, byArchitecture: object | undefined][],
): void {
  const known = Object.keys(ARCHITECTURES);
  for (const [i, [name, byArchitecture = {}]] of items.entries()) {
    for (const arch of Object.keys(byArchitecture))
      if (!known.includes(arch))
        document.report(`${list}[${i}].${field}.${arch}`, `must be one of ${known.join(", ")}`);
    if (items.findIndex(([other]) => other === name) !== i)
      document.report(`${list}[${i}].name`, `${name} is given twice; keep one of the two`);
  }
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
  const document = toDocument(LOCK, { ...lock, images: byName(lock.images), binaries: byName(lock.binaries) });
  return `# Written by kubestick bundle lock; what is pinned here stays as it is.\n${documentText(document)}`;
}
