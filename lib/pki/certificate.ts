import { createHash, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import type forge from "node-forge";
import { CERTIFICATE_BACKDATE } from "../constants/durations.ts";
import { ipBytes } from "../net/ip.ts";
import {
  asn1,
  binary,
  context,
  der,
  extensionOf,
  name,
  OID,
  octets,
  oid,
  pem,
  sequence,
  signatureAlgorithm,
  signed,
  spki,
  spkiOf,
  tbsOf,
} from "./asn1.ts";

const { Class, Type } = asn1;

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
  const subject = name(content.commonName, content.organizations ?? []);
  const issuerName = "selfKey" in issuer ? subject : subjectOf(issuer.certificate);
  const tbs = sequence(
    context(0, true, [der(Type.INTEGER, "\x02")]),
    der(Type.INTEGER, binary(serial())),
    algorithm.asn1,
    issuerName,
    sequence(time(new Date(content.notBefore.getTime() - CERTIFICATE_BACKDATE)), time(content.notAfter)),
    subject,
    spki(publicKey),
    context(3, true, [
      sequence(...extensions(content, publicKey, "selfKey" in issuer ? undefined : issuer.certificate)),
    ]),
  );
  return new X509Certificate(signed(tbs, signer));
}

/** A certificate in PEM. */
export function certificatePem(certificate: X509Certificate): string {
  return pem("CERTIFICATE", certificate.raw);
}

/** The CA pin of a certificate: `sha256:` and the hash of its SubjectPublicKeyInfo (RFC 7469 §2.4, in hex). */
export function caPin(certificate: X509Certificate): string {
  return `sha256:${createHash("sha256").update(spkiOf(certificate)).digest("hex")}`;
}

/** A positive serial of 63 random bits, never zero, in DER's shortest form. */
function serial(): Buffer {
  const bytes = randomBytes(8);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

/** The subject of a certificate exactly as it is encoded there, since issuer names are compared byte by byte. */
function subjectOf(certificate: X509Certificate): forge.asn1.Asn1 {
  const tbs = tbsOf(certificate);
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
  const bits = (spki(publicKey).value as forge.asn1.Asn1[])[1] as forge.asn1.Asn1 & { bitStringContents?: string };
  const value = bits.bitStringContents ?? bits.value;
  const content = typeof value === "string" ? value : asn1.toDer(bits).getBytes();
  return createHash("sha1")
    .update(Buffer.from(content.slice(1), "binary"))
    .digest();
}

/** A CA without a readable key identifier gives undefined: its leaves then name none either. */
function subjectKeyIdOf(certificate: X509Certificate): string | undefined {
  const value = extensionOf(certificate, OID.subjectKeyId)?.value;
  return typeof value === "string" ? value : undefined;
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
