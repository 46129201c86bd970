import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type forge from "node-forge";
import { ipBytes } from "../../lib/net/ip.ts";
import { privateKeyPem } from "../../lib/pki/algorithms.ts";
import { asn1, binary, context, der, name, OID, octets, oid, pem, sequence, spki } from "../../lib/pki/asn1.ts";

const { Type } = asn1;

/** The identifiers of signatures, good and bad (RFC 8017, RFC 3279, RFC 5758). */
const SIGNATURES: Record<string, Record<string, string>> = {
  rsa: {
    md5: "1.2.840.113549.1.1.4",
    sha1: "1.2.840.113549.1.1.5",
    sha256: "1.2.840.113549.1.1.11",
    sha384: "1.2.840.113549.1.1.12",
    sha512: "1.2.840.113549.1.1.13",
  },
  ec: {
    sha1: "1.2.840.10045.4.1",
    sha224: "1.2.840.10045.4.3.1",
    sha256: "1.2.840.10045.4.3.2",
    sha384: "1.2.840.10045.4.3.3",
    sha512: "1.2.840.10045.4.3.4",
  },
};

/** What a forged certificate says; whatever is left out is not in it. */
export interface Forged {
  subject?: string;
  /** basicConstraints; `{}` is one without the CA flag. */
  basic?: { ca?: boolean; pathLength?: number };
  /** keyUsage's first byte, such as 0x04 for keyCertSign. */
  keyUsage?: number;
  extKeyUsage?: ("server" | "client")[];
  dns?: string[];
  ip?: string[];
  /** nameConstraints: permitted DNS subtrees. */
  permitted?: string[];
  /** An extension that nobody knows, marked critical. */
  unknownCritical?: boolean;
  from?: Date;
  to?: Date;
  hash?: string;
  /** Written in place of a true signature. */
  signature?: Buffer;
}

/** A party that can sign: its name, key and certificate. */
export interface Party {
  subject: string;
  key: KeyObject;
  publicKey: KeyObject;
  der: Buffer;
  cert: string;
  keyPem: string;
}

const keyPair = (kind: "ec" | number | string) =>
  typeof kind === "number"
    ? generateKeyPairSync("rsa", { modulusLength: kind })
    : generateKeyPairSync("ec", { namedCurve: kind === "ec" ? "P-256" : kind });

/**
 * Makes a certificate of any sort, also such as no CA would sign: what a check must refuse is made here. Without an
 * issuer it is self-signed. `key` is a curve, the bits of an RSA key, or another party's keys.
 */
export function forged(
  content: Forged,
  issuer?: Pick<Party, "subject" | "key">,
  key: "ec" | number | string | Pick<Party, "key" | "publicKey"> = "ec",
): Party {
  const pair =
    typeof key === "object"
      ? key
      : (({ privateKey, publicKey }) => ({ key: privateKey, publicKey }))(
          keyPair(key) as never as {
            privateKey: KeyObject;
            publicKey: KeyObject;
          },
        );
  const subject = content.subject ?? "forged";
  const signer = issuer?.key ?? pair.key;
  const hash = content.hash ?? "sha256";
  const algorithm = sequence(oid(SIGNATURES[signer.asymmetricKeyType!]![hash]!));
  const tbs = sequence(
    context(0, true, [der(Type.INTEGER, "\x02")]),
    der(Type.INTEGER, `\x40${binary(randomBytes(8))}`),
    algorithm,
    name(issuer?.subject ?? subject, []),
    sequence(
      time(content.from ?? new Date(Date.now() - 3_600_000)),
      time(content.to ?? new Date(Date.now() + 86_400_000)),
    ),
    name(subject, []),
    spki(pair.publicKey),
    ...extensions(content),
  );
  const signed = Buffer.from(asn1.toDer(tbs).getBytes(), "binary");
  const signature = content.signature ?? sign(hash, signed, signer);
  const whole = sequence(tbs, algorithm, der(Type.BITSTRING, `\0${binary(signature)}`));
  const bytes = Buffer.from(asn1.toDer(whole).getBytes(), "binary");
  return {
    subject,
    key: pair.key,
    publicKey: pair.publicKey,
    der: bytes,
    cert: pem("CERTIFICATE", bytes),
    keyPem: privateKeyPem(pair.key),
  };
}

const time = (date: Date) =>
  date.getUTCFullYear() < 2050
    ? der(Type.UTCTIME, asn1.dateToUtcTime(date) as unknown as string)
    : der(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date) as unknown as string);

function extensions(content: Forged): forge.asn1.Asn1[] {
  const out: forge.asn1.Asn1[] = [];
  const add = (id: string, critical: boolean, value: forge.asn1.Asn1) =>
    out.push(sequence(oid(id), ...(critical ? [der(Type.BOOLEAN, "\xff")] : []), octets(asn1.toDer(value).getBytes())));
  const { basic, keyUsage, extKeyUsage, dns = [], ip = [], permitted } = content;
  if (keyUsage !== undefined) add(OID.keyUsage, true, der(Type.BITSTRING, `\0${String.fromCharCode(keyUsage)}`));
  if (extKeyUsage)
    add(
      OID.extKeyUsage,
      false,
      sequence(...extKeyUsage.map((usage) => oid(usage === "server" ? OID.serverAuth : OID.clientAuth))),
    );
  if (basic) {
    const length = basic.pathLength === undefined ? [] : [der(Type.INTEGER, String.fromCharCode(basic.pathLength))];
    add(OID.basicConstraints, true, sequence(...(basic.ca ? [der(Type.BOOLEAN, "\xff")] : []), ...length));
  }
  const names = [
    ...dns.map((text) => context(2, false, text)),
    ...ip.map((text) => context(7, false, binary(ipBytes(text)!))),
  ];
  if (names.length > 0) add(OID.subjectAltName, false, sequence(...names));
  if (permitted)
    add(
      "2.5.29.30",
      true,
      sequence(
        context(
          0,
          true,
          permitted.map((text) => sequence(context(2, false, text))),
        ),
      ),
    );
  if (content.unknownCritical) add("1.2.3.4.5.6", true, der(Type.NULL, ""));
  return out.length > 0 ? [context(3, true, [sequence(...out)])] : [];
}
