import { createHash } from "node:crypto";
import { KubestickError } from "../errors.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";

/** A content descriptor (OCI image-spec 1.1 descriptor.md), checked. */
export interface Descriptor {
  mediaType: string;
  /** `sha256:` and 64 hexadecimal digits; other algorithms are not taken. */
  digest: string;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string>;
  platform?: { architecture: string; os: string; variant?: string };
  artifactType?: string;
}

/** Of a descriptor, what it takes to find a blob and to check it. */
export type BlobRef = Pick<Descriptor, "digest" | "size">;

const PREFIX = "sha256:";
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a text is a SHA-256 digest in OCI form. */
export const isDigest = (text: unknown): text is string => typeof text === "string" && DIGEST.test(text);

/** A digest in OCI form, of 64 hexadecimal digits. */
export const digestOfHex = (hex: string): string => `${PREFIX}${hex}`;

/** The hexadecimal part of a digest, a blob's file name. */
export const digestHex = (digest: string): string => digest.slice(PREFIX.length);

/** The digest of bytes, in OCI form. */
export const digestOf = (data: Buffer | string): string => digestOfHex(createHash("sha256").update(data).digest("hex"));

/** The descriptor of bytes. */
export const describe = (mediaType: string, data: Buffer): Descriptor => ({
  mediaType,
  digest: digestOf(data),
  size: data.length,
});

/** A descriptor without what it says besides: what is the same wherever the blob is listed. */
export const plainDescriptor = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

/** Each blob once: of several descriptors the last. */
export const uniqueBlobs = <B extends BlobRef>(blobs: B[]): B[] => [
  ...new Map(blobs.map((blob) => [blob.digest, blob])).values(),
];

/** Checks a descriptor from outside. Throws KubestickError naming `what`. */
export function readDescriptor(value: unknown, what: string): Descriptor {
  const v = (value ?? {}) as Plain;
  const bad = (field: string) => new KubestickError(`${what} has a bad ${field}`);
  const { mediaType, digest, size, annotations, artifactType } = v;
  if (typeof mediaType !== "string") throw bad("mediaType");
  if (!isDigest(digest)) throw bad("digest");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw bad("size");
  const platform = platformOf(v["platform"]);
  return {
    mediaType,
    digest,
    size,
    ...(annotations ? { annotations: stringMap(annotations, `${what}'s annotations`) } : {}),
    ...(typeof artifactType === "string" ? { artifactType } : {}),
    ...(platform ? { platform } : {}),
  };
}

function platformOf(value: unknown): Descriptor["platform"] {
  const { architecture, os, variant } = (value ?? {}) as Plain;
  if (typeof architecture !== "string" || typeof os !== "string") return undefined;
  return { architecture, os, ...(typeof variant === "string" ? { variant } : {}) };
}

function stringMap(value: unknown, what: string): Record<string, string> {
  if (!isPlain(value) || Object.values(value).some((v) => typeof v !== "string"))
    throw new KubestickError(`${what} are not texts`);
  return value as Record<string, string>;
}
