import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import type { EncryptionAlgorithm } from "../config/types.ts";
import { KubestickError, reason } from "../host/errors.ts";

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

/** Reads a private key from PEM. Throws KubestickError, without any of the key's text, when it is none. */
export function readPrivateKey(pem: Buffer, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new KubestickError(`${path} is not a private key in PEM: ${reason(error)}`, {
      hint: "restore it from a backup; or, where nothing depends on it yet, remove it and run the same command again",
    });
  }
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
