import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import type { EncryptionAlgorithm } from "../config/kinds/cluster.ts";
import { KubestickError } from "../errors.ts";
import { conversion, pemBlocks } from "./pem.ts";
import { keyWeakness } from "./strength.ts";

const generate = promisify(generateKeyPair);

/** A key pair as node:crypto holds it. */
export interface KeyPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const EC_CURVES: Partial<Record<EncryptionAlgorithm, string>> = { "ECDSA-P256": "P-256", "ECDSA-P384": "P-384" };

/** Makes a key pair of one of kubeadm's encryption algorithms; RSA ones are made on a thread each. */
export async function newKeyPair(algorithm: EncryptionAlgorithm): Promise<KeyPair> {
  const namedCurve = EC_CURVES[algorithm];
  if (namedCurve) return generate("ec", { namedCurve });
  return generate("rsa", { modulusLength: Number(algorithm.slice("RSA-".length)) });
}

/** A private key in the PEM form that Kubernetes' own tools write: PKCS#1 for RSA, SEC 1 for EC. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ format: "pem", type: key.asymmetricKeyType === "rsa" ? "pkcs1" : "sec1" }) as string;
}

/** A public key in PEM (SubjectPublicKeyInfo). */
export function publicKeyPem(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }) as string;
}

/** How the kinds of private keys in PEM are encoded (RFC 5208, RFC 8017, RFC 5915), which are those that Go reads. */
const ENCODINGS: Record<string, "pkcs8" | "pkcs1" | "sec1"> = {
  "PRIVATE KEY": "pkcs8",
  "RSA PRIVATE KEY": "pkcs1",
  "EC PRIVATE KEY": "sec1",
};

/**
 * Reads the first private key of a PEM file, RSA or ECDSA, which is what kubeadm takes. Throws KubestickError, without
 * any of the key's text, that names its source, with advice where that is a file, and says what it is instead.
 */
export function readPrivateKey(pem: Buffer, source: string): KeyObject {
  const isFile = source.startsWith("/");
  const fail = (why: string, hint = isFile ? RESTORE : undefined): never => {
    throw new KubestickError(`${source} ${why}`, { hint });
  };
  const blocks = pemBlocks(pem.toString("latin1"));
  if (blocks.some(({ label, headers }) => label === "ENCRYPTED PRIVATE KEY" || headers.includes("ENCRYPTED")))
    fail(
      "is encrypted with a passphrase, which nobody can give when Kubernetes starts",
      conversion(source, "openssl pkey"),
    );
  const block = blocks.find(({ label }) => ENCODINGS[label]);
  if (!block) {
    const der = pem[0] === 0x30 && (["pkcs8", "pkcs1", "sec1"] as const).some((type) => parseKey(pem, type));
    if (der)
      fail("is a private key in DER, and Kubernetes reads PEM only", conversion(source, "openssl pkey -inform DER"));
    return fail("is not a private key in PEM");
  }
  const key = parseKey(block.data, ENCODINGS[block.label]!) ?? fail("is not a private key that can be read");
  if (key.asymmetricKeyType !== "rsa" && key.asymmetricKeyType !== "ec")
    fail(`is a key of the kind ${key.asymmetricKeyType}, and Kubernetes takes RSA and ECDSA keys only`);
  const weak = keyWeakness(key);
  return weak ? fail(`cannot be used: it ${weak}`) : key;
}

const RESTORE =
  "restore it from a backup; or, where nothing depends on it yet, remove it and run the same command again";

function parseKey(der: Buffer | undefined, type: "pkcs8" | "pkcs1" | "sec1"): KeyObject | undefined {
  try {
    return der && createPrivateKey({ key: der, format: "der", type });
  } catch {
    return undefined;
  }
}

/** The public keys that the API server reads out of a PEM file: of public keys, private ones and certificates (client-go keyutil). */
export function publicKeysOf(pem: Buffer): KeyObject[] {
  return pemBlocks(pem.toString("latin1")).flatMap(({ label, data = Buffer.alloc(0) }) => {
    try {
      if (label === "CERTIFICATE") return [new X509Certificate(data).publicKey];
      if (ENCODINGS[label])
        return [createPublicKey(createPrivateKey({ key: data, format: "der", type: ENCODINGS[label] }))];
      return [createPublicKey({ key: data, format: "der", type: "spki" })];
    } catch {
      return [];
    }
  });
}

/** The public half of a private key. */
export function publicOf(privateKey: KeyObject): KeyObject {
  return createPublicKey(privateKey);
}

/** A public key in DER (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7). */
export function publicKeyDer(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }) as Buffer;
}

/** Whether two public keys are the same key. */
export function samePublicKey(a: KeyObject, b: KeyObject): boolean {
  return publicKeyDer(a).equals(publicKeyDer(b));
}
