import { createHash } from "node:crypto";
import { KubestickError } from "../errors.ts";
import { passing } from "../host/memory.ts";
import { jsonExcess } from "./json.ts";

/** A content descriptor (OCI image-spec 1.1 descriptor.md), checked. */
export interface Descriptor {
  mediaType: string;
  /** `sha256:` and 64 hexadecimal digits; other algorithms are not taken. */
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: { architecture: string; os: string; variant?: string };
  artifactType?: string;
}

/** What a parsed document takes, its text included, for each byte of it. */
const PARSED_FACTOR = 8;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a text is a SHA-256 digest in OCI form. */
export const isDigest = (text: unknown): text is string => typeof text === "string" && DIGEST.test(text);

/** The digest of bytes, in OCI form. */
export const digestOf = (data: Buffer | string): string => `sha256:${createHash("sha256").update(data).digest("hex")}`;

/** The hexadecimal part of a digest, a blob's file name. */
export const digestHex = (digest: string): string => digest.slice("sha256:".length);

/** The descriptor of bytes. */
export const describe = (mediaType: string, data: Buffer): Descriptor => ({
  mediaType,
  digest: digestOf(data),
  size: data.length,
});

type Json = Record<string, unknown>;

/** Parses JSON from outside that must be an object, within LIMITS. Throws KubestickError naming `what`. */
export function parseObject(data: Buffer, what: string): Json {
  const value = parseJson(data, what);
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Json;
  throw new KubestickError(`${what} is not a JSON object`);
}

/** Parses JSON from outside, within LIMITS. Throws KubestickError naming `what`. */
export function parseJson(data: Buffer, what: string): unknown {
  const excess = jsonExcess(data);
  if (excess !== undefined) throw new KubestickError(`${what} ${excess}`);
  passing(PARSED_FACTOR * data.length);
  try {
    return JSON.parse(data.toString("utf8"));
  } catch {
    throw new KubestickError(`${what} is not JSON`);
  }
}

/** A list of objects in a field of JSON from outside; empty where the field is missing. Throws KubestickError naming `what`. */
export function objectList(value: unknown, what: string): Json[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((v) => v !== null && typeof v === "object" && !Array.isArray(v)))
    return value;
  throw new KubestickError(`${what} is not a list of objects`);
}

/** Checks a descriptor from outside. Throws KubestickError naming `what`. */
export function readDescriptor(value: unknown, what: string): Descriptor {
  const v = (value ?? {}) as Json;
  const bad = (field: string) => new KubestickError(`${what} has a bad ${field}`);
  if (typeof v["mediaType"] !== "string") throw bad("mediaType");
  if (!isDigest(v["digest"])) throw bad("digest");
  if (typeof v["size"] !== "number" || !Number.isSafeInteger(v["size"]) || v["size"] < 0) throw bad("size");
  const platform = v["platform"] as Json | undefined;
  return {
    mediaType: v["mediaType"],
    digest: v["digest"],
    size: v["size"],
    ...(v["annotations"] ? { annotations: stringMap(v["annotations"], `${what}'s annotations`) } : {}),
    ...(typeof v["artifactType"] === "string" ? { artifactType: v["artifactType"] } : {}),
    ...(typeof platform?.["architecture"] === "string" && typeof platform["os"] === "string"
      ? {
          platform: {
            architecture: platform["architecture"],
            os: platform["os"],
            ...(typeof platform["variant"] === "string" ? { variant: platform["variant"] } : {}),
          },
        }
      : {}),
  };
}

function stringMap(value: unknown, what: string): Record<string, string> {
  if (value === null || typeof value !== "object" || Object.values(value).some((v) => typeof v !== "string"))
    throw new KubestickError(`${what} are not texts`);
  return value as Record<string, string>;
}
