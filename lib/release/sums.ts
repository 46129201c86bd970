import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { KubestickError } from "../errors.ts";

/** The files of a release beside its executables. */
export const SUMS_FILE = "SHA256SUMS";
export const SIGNATURE_FILE = "SHA256SUMS.sig";
export const PUBLIC_KEY_FILE = "kubestick.pub";
export const SBOM_FILE = "kubestick.spdx.json";

/** Lines of sha256sum(1), sorted by name. */
export function formatSums(sums: Map<string, string>): string {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, digest]) => `${digest}  ${name}\n`)
    .join("");
}

/** Reads lines of sha256sum(1): name → digest. Throws KubestickError naming the line that is none. */
export function parseSums(text: string, file: string): Map<string, string> {
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line, i) => {
      const match = /^([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]*)$/.exec(line);
      if (!match) throw new KubestickError(`${file}:${i + 1}: not a line of sha256sum`, { hint: "download it again" });
      return [match[2]!, match[1]!];
    }),
  );
}

/** Signs bytes with ed25519 (RFC 8032); base64 and a line's end. */
export function signSums(text: string, key: KeyObject): string {
  return `${sign(null, Buffer.from(text), key).toString("base64")}\n`;
}

/** Whether a signature of `signSums` is this key's. Throws KubestickError when the key is no ed25519 public key. */
export function isSigned(text: string, signature: string, publicKey: string, file: string): boolean {
  return verify(null, Buffer.from(text), readPublicKey(publicKey, file), Buffer.from(signature.trim(), "base64"));
}

/** A key's fingerprint, to compare with one told another way: SHA-256 of its SubjectPublicKeyInfo. */
export function fingerprint(publicKey: string, file: string): string {
  const der = readPublicKey(publicKey, file).export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(der).digest("hex")}`;
}

function readPublicKey(pem: string, file: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Said below.
  }
  throw new KubestickError(`${file} holds no ed25519 public key (PEM)`, { hint: "download it again" });
}
