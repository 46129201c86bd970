import { createHash, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import forge from "node-forge";
import { CERTIFICATE_BACKDATE } from "../constants/durations.ts";
import { ipBytes } from "../host/net.ts";

const { asn1 } = forge;
const { Class, Type } = asn1;

/** Object identifiers of what the certificates here hold (RFC 5280, RFC 5758, RFC 8017). */
const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
};

/** What a certificate says, apart from who signs it. */
export interface CertificateContent {
  commonName: string;
  organizations?: string[];
  ca?: boolean;
  usages?: ("server" | "client")[];
  dnsNames?: string[];
  ipAddresses?: string[];
  /** First moment of validity before the usual backdating, and last. */
  notBefore: Date;
  notAfter: Date;
}

/** A CA that can sign: its certificate and private key. */
export interface Issuer {
  certificate: X509Certificate;
  privateKey: KeyObject;
}

const der = (type: number, value: string | forge.asn1.Asn1[]) =>
  asn1.create(Class.UNIVERSAL, type, Array.isArray(value), value);
const sequence = (...items: forge.asn1.Asn1[]) => der(Type.SEQUENCE, items);
const oid = (id: string) => der(Type.OID, asn1.oidToDer(id).getBytes());
const octets = (value: string) => der(Type.OCTETSTRING, value);
const binary = (bytes: Buffer) => bytes.toString("binary");
const context = (tag: number, constructed: boolean, value: string | forge.asn1.Asn1[]) =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);

/**
 * Makes an X.509 v3 certificate for a public key (RFC 5280), with the fields in the shape that Go's crypto/x509 and so
 * kubeadm give them. Without an issuer it is self-signed by `selfKey`. node-forge writes the ASN.1, node:crypto signs.
 */
export function newCertificate(
  content: CertificateContent,
  publicKey: KeyObject,
  issuer: Issuer | { selfKey: KeyObject },
): X509Certificate {
  const signer = "selfKey" in issuer ? issuer.selfKey : issuer.privateKey;
  const algorithm = signatureAlgorithm(signer);
  const spki = asn1.fromDer(binary(publicKey.export({ format: "der", type: "spki" }) as Buffer));
  const subject = name(content.commonName, content.organizations ?? []);
  const issuerName = "selfKey" in issuer ? subject : subjectOf(issuer.certificate);
  const tbs = sequence(
    context(0, true, [der(Type.INTEGER, "\x02")]),
    der(Type.INTEGER, binary(serial())),
    algorithm.asn1,
    issuerName,
    sequence(time(new Date(content.notBefore.getTime() - CERTIFICATE_BACKDATE)), time(content.notAfter)),
    subject,
    spki,
    context(3, true, [
      sequence(...extensions(content, publicKey, "selfKey" in issuer ? undefined : issuer.certificate)),
    ]),
  );
  const bytes = Buffer.from(asn1.toDer(tbs).getBytes(), "binary");
  const signature = sign(algorithm.hash, bytes, signer);
  const whole = sequence(tbs, algorithm.asn1, der(Type.BITSTRING, `\0${binary(signature)}`));
  return new X509Certificate(Buffer.from(asn1.toDer(whole).getBytes(), "binary"));
}

/** A certificate in PEM, with the 64-character lines and last newline of Go's encoding/pem. */
export function certificatePem(certificate: X509Certificate): string {
  const body = certificate.raw.toString("base64").replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
}

/** The CA pin of a certificate: `sha256:` and the hash of its SubjectPublicKeyInfo (RFC 7469 §2.4, in hex). */
export function caPin(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ format: "der", type: "spki" });
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}

function signatureAlgorithm(key: KeyObject): { asn1: forge.asn1.Asn1; hash: string } {
  if (key.asymmetricKeyType === "rsa")
    return { asn1: sequence(oid(OID.sha256WithRsa), der(Type.NULL, "")), hash: "sha256" };
  const p384 = key.asymmetricKeyDetails?.namedCurve === "secp384r1";
  return { asn1: sequence(oid(p384 ? OID.ecdsaWithSha384 : OID.ecdsaWithSha256)), hash: p384 ? "sha384" : "sha256" };
}

/** A positive serial of 63 random bits, never zero, in DER's shortest form. */
function serial(): Buffer {
  const bytes = randomBytes(8);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function name(commonName: string, organizations: string[]): forge.asn1.Asn1 {
  const text = (value: string) => {
    const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value);
    return der(printable ? Type.PRINTABLESTRING : Type.UTF8, printable ? value : forge.util.encodeUtf8(value));
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

/** The subject of a certificate exactly as it is encoded there, since issuer names are compared byte by byte. */
function subjectOf(certificate: X509Certificate): forge.asn1.Asn1 {
  const tbs = (asn1.fromDer(binary(certificate.raw)).value as forge.asn1.Asn1[])[0]!.value as forge.asn1.Asn1[];
  const versioned = tbs[0]!.tagClass === Class.CONTEXT_SPECIFIC ? 1 : 0;
  return tbs[versioned + 4]!;
}

/** RFC 5280 §4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050. */
function time(date: Date): forge.asn1.Asn1 {
  const whole = new Date(Math.floor(date.getTime() / 1000) * 1000);
  return whole.getUTCFullYear() < 2050
    ? der(Type.UTCTIME, asn1.dateToUtcTime(whole) as unknown as string)
    : der(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(whole) as unknown as string);
}

/** RFC 5280 §4.2.1.2, method 1: the SHA-1 of the public key's bits. */
function keyId(publicKey: KeyObject): Buffer {
  const spki = asn1.fromDer(binary(publicKey.export({ format: "der", type: "spki" }) as Buffer));
  const bits = (spki.value as forge.asn1.Asn1[])[1] as forge.asn1.Asn1 & { bitStringContents?: string };
  const value = bits.bitStringContents ?? bits.value;
  const content = typeof value === "string" ? value : asn1.toDer(bits).getBytes();
  return createHash("sha1")
    .update(Buffer.from(content.slice(1), "binary"))
    .digest();
}

function subjectKeyIdOf(certificate: X509Certificate): string | undefined {
  try {
    const parsed = asn1.fromDer(binary(certificate.raw));
    const tbs = (parsed.value as forge.asn1.Asn1[])[0]!.value as forge.asn1.Asn1[];
    const wrapper = tbs.find((item) => item.tagClass === Class.CONTEXT_SPECIFIC && (item.type as number) === 3);
    const list = (wrapper!.value as forge.asn1.Asn1[])[0]!.value as forge.asn1.Asn1[];
    for (const extension of list) {
      const parts = extension.value as forge.asn1.Asn1[];
      if (asn1.derToOid(parts[0]!.value as string) !== OID.subjectKeyId) continue;
      return asn1.fromDer(parts.at(-1)!.value as string).value as string;
    }
  } catch {
    // A CA without a readable key identifier: its leaves get none either.
  }
  return undefined;
}

function extensions(
  content: CertificateContent,
  publicKey: KeyObject,
  issuer: X509Certificate | undefined,
): forge.asn1.Asn1[] {
  const extension = (id: string, critical: boolean, value: forge.asn1.Asn1) =>
    sequence(oid(id), ...(critical ? [der(Type.BOOLEAN, "\xff")] : []), octets(asn1.toDer(value).getBytes()));
  const out: forge.asn1.Asn1[] = [];
  // digitalSignature and keyEncipherment, and for a CA keyCertSign: bits 0, 2 and 5, with the unused bits counted.
  out.push(extension(OID.keyUsage, true, der(Type.BITSTRING, content.ca ? "\x02\xa4" : "\x05\xa0")));
  if (content.usages?.length) {
    const usages = content.usages.map((usage) => oid(usage === "server" ? OID.serverAuth : OID.clientAuth));
    out.push(extension(OID.extKeyUsage, false, sequence(...usages)));
  }
  out.push(extension(OID.basicConstraints, true, content.ca ? sequence(der(Type.BOOLEAN, "\xff")) : sequence()));
  if (content.ca) out.push(extension(OID.subjectKeyId, false, octets(binary(keyId(publicKey)))));
  const authority = issuer && subjectKeyIdOf(issuer);
  if (authority) out.push(extension(OID.authorityKeyId, false, sequence(context(0, false, authority))));
  const alternatives = [
    ...(content.dnsNames ?? []).map((dns) => context(2, false, dns)),
    ...(content.ipAddresses ?? []).map((ip) => context(7, false, binary(ipBytes(ip)!))),
  ];
  if (alternatives.length > 0) out.push(extension(OID.subjectAltName, false, sequence(...alternatives)));
  return out;
}
