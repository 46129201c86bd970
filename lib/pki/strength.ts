import type { KeyObject, X509Certificate } from "node:crypto";

const MIN_RSA_BITS = 1024;
const MAX_EXPONENT = 2n ** 31n - 1n;
const CURVES: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/** Signatures that Go's crypto/x509 takes on a certificate: SHA-256 and up, with RSA, RSA-PSS, ECDSA or Ed25519. */
const SIGNATURES = new Set([
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.113549.1.1.10",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
  "1.3.101.112",
]);

/**
 * Why Kubernetes cannot use a public key, in words that follow "its key": Go neither signs nor verifies with RSA below
 * 1024 bits (since 1.24) or with an exponent that is even or above 31 bits, and TLS knows the NIST curves from P-256 up.
 * Undefined for a good one.
 */
export function keyWeakness(key: KeyObject): string | undefined {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (modulusLength < MIN_RSA_BITS)
        return `is RSA with ${modulusLength} bits, and Kubernetes takes no fewer than ${MIN_RSA_BITS}`;
      if (publicExponent < 3n || publicExponent > MAX_EXPONENT || publicExponent % 2n === 0n)
        return `is RSA with the exponent ${publicExponent}, which Kubernetes does not take`;
      return undefined;
    case "ec":
      return CURVES[namedCurve]
        ? undefined
        : `is on the curve ${namedCurve || "of a private kind"}, and Kubernetes takes ${Object.values(CURVES).join(", ")}`;
    case "ed25519":
      return undefined;
    default:
      return `is of the kind ${key.asymmetricKeyType ?? "unknown"}, and Kubernetes takes RSA and ECDSA`;
  }
}

/** The public key of a certificate; undefined for one that this runtime cannot read, as of secp256k1 or DSA. */
export function publicKeyOf(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}

/** Why a certificate's key cannot be used, as `keyWeakness`. */
export function certificateKeyWeakness(certificate: X509Certificate): string | undefined {
  const key = publicKeyOf(certificate);
  return key ? keyWeakness(key) : "is of a kind or on a curve that Kubernetes does not take: it takes RSA and ECDSA";
}

/** Why Kubernetes does not believe the signature on a certificate; undefined for an algorithm that it takes. */
export function signatureWeakness(certificate: X509Certificate): string | undefined {
  const { signatureAlgorithm, signatureAlgorithmOid } = certificate;
  return signatureAlgorithmOid !== undefined && SIGNATURES.has(signatureAlgorithmOid)
    ? undefined
    : `is signed with ${signatureAlgorithm ?? signatureAlgorithmOid}, which Kubernetes does not take (SHA-256 or better)`;
}
