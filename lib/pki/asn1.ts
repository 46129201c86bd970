import { type KeyObject, sign, type X509Certificate } from "node:crypto";
import type forge from "node-forge";
import asn1 from "node-forge/lib/asn1.js";
import util from "node-forge/lib/util.js";
import { publicKeyDer } from "./algorithms.ts";

/** node-forge's ASN.1. */
export { asn1 };

const { Class, Type } = asn1;

/** Object identifiers of what certificates and requests here hold (RFC 5280, RFC 5758, RFC 8017). */
export const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  anyExtKeyUsage: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  ecdsaWithSha512: "1.2.840.10045.4.3.4",
};

/** A universal ASN.1 value. */
export const der = (type: number, value: string | forge.asn1.Asn1[]) =>
  asn1.create(Class.UNIVERSAL, type, Array.isArray(value), value);
/** SEQUENCE. */
export const sequence = (...items: forge.asn1.Asn1[]) => der(Type.SEQUENCE, items);
/** OBJECT IDENTIFIER. */
export const oid = (id: string) => der(Type.OID, asn1.oidToDer(id).getBytes());
/** OCTET STRING. */
export const octets = (value: string) => der(Type.OCTETSTRING, value);
/** Bytes in the form that node-forge takes. */
export const binary = (bytes: Buffer) => bytes.toString("binary");
/** A context-specific tag. */
export const context = (tag: number, constructed: boolean, value: string | forge.asn1.Asn1[]) =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);

/** A public key (SubjectPublicKeyInfo). */
export const spki = (key: KeyObject): forge.asn1.Asn1 => asn1.fromDer(binary(publicKeyDer(key)));

/** A distinguished name, in the order and encodings of Go's crypto/x509/pkix. */
export function name(commonName: string, organizations: string[]): forge.asn1.Asn1 {
  const text = (value: string) => {
    const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value);
    return der(printable ? Type.PRINTABLESTRING : Type.UTF8, printable ? value : util.encodeUtf8(value));
  };
  const attribute = (type: string, value: string) => sequence(oid(type), text(value));
  const sets: forge.asn1.Asn1[] = [];
  if (organizations.length > 0) {
    sets.push(
      der(
        Type.SET,
        organizations.map((o) => attribute(OID.organization, o)),
      ),
    );
  }
  sets.push(der(Type.SET, [attribute(OID.commonName, commonName)]));
  return sequence(...sets);
}

/** What of a certificate is signed (RFC 5280 TBSCertificate), as the list of its fields. Throws Error when it is not DER. */
export function tbsOf(certificate: X509Certificate): forge.asn1.Asn1[] {
  return (asn1.fromDer(binary(certificate.raw)).value as forge.asn1.Asn1[])[0]!.value as forge.asn1.Asn1[];
}

/** A certificate's SubjectPublicKeyInfo as it stands there, byte by byte. */
export function spkiOf(certificate: X509Certificate): Buffer {
  const { raw } = certificate;
  // Where an element's contents begin and end; the runtime has parsed all of it already.
  const contents = (at: number): [from: number, to: number] => {
    const short = raw[at + 1]!;
    const bytes = short < 0x80 ? 0 : short & 0x7f;
    const from = at + 2 + bytes;
    return [from, from + (bytes === 0 ? short : raw.readUIntBE(at + 2, bytes))];
  };
  let [at] = contents(contents(0)[0]);
  // Behind the version, which stands in a tag of its own: serial, signature, issuer, validity, subject.
  for (let passed = raw[at] === 0xa0 ? 0 : 1; passed < 6; passed++) at = contents(at)[1];
  return raw.subarray(at, contents(at)[1]);
}

/** The value of one of a certificate's extensions, parsed; undefined where it has none, or cannot be read. */
export function extensionOf(certificate: X509Certificate, id: string): forge.asn1.Asn1 | undefined {
  try {
    const wrapper = tbsOf(certificate).find(
      (item) => item.tagClass === Class.CONTEXT_SPECIFIC && (item.type as number) === 3,
    );
    const list = (wrapper?.value as forge.asn1.Asn1[] | undefined)?.[0]?.value as forge.asn1.Asn1[] | undefined;
    const found = list?.find(({ value }) => asn1.derToOid((value as forge.asn1.Asn1[])[0]!.value as string) === id);
    return found && asn1.fromDer((found.value as forge.asn1.Asn1[]).at(-1)!.value as string);
  } catch {
    return undefined;
  }
}

/** The hash that goes with a curve's size, as Go chooses it. */
const EC_SIGNATURES: Record<string, [id: string, hash: string]> = {
  secp384r1: [OID.ecdsaWithSha384, "sha384"],
  secp521r1: [OID.ecdsaWithSha512, "sha512"],
};

/** How a key signs: the algorithm's identifier (RFC 5758, RFC 8017), and the hash. */
export function signatureAlgorithm(key: KeyObject): { asn1: forge.asn1.Asn1; hash: string } {
  if (key.asymmetricKeyType === "rsa")
    return { asn1: sequence(oid(OID.sha256WithRsa), der(Type.NULL, "")), hash: "sha256" };
  const [id, hash] = EC_SIGNATURES[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? [OID.ecdsaWithSha256, "sha256"];
  return { asn1: sequence(oid(id)), hash };
}

/** What X.509 and PKCS #10 sign, with its signature, in DER: SIGNED{} of RFC 5912. */
export function signed(content: forge.asn1.Asn1, key: KeyObject): Buffer {
  const algorithm = signatureAlgorithm(key);
  const signature = sign(algorithm.hash, Buffer.from(asn1.toDer(content).getBytes(), "binary"), key);
  const whole = sequence(content, algorithm.asn1, der(Type.BITSTRING, `\0${binary(signature)}`));
  return Buffer.from(asn1.toDer(whole).getBytes(), "binary");
}

/** PEM (RFC 7468), with the 64-character lines and last newline of Go's encoding/pem. */
export function pem(label: string, data: Buffer): string {
  const body = data.toString("base64").replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}
