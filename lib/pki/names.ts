import type { X509Certificate } from "node:crypto";
import { canonicalIp, ipFromBytes } from "../net/ip.ts";
import { asn1, extensionOf, OID } from "./asn1.ts";
import type { AltNames } from "./kubeadm-certs.ts";

const { Class } = asn1;
/** Tags of a GeneralName (RFC 5280 §4.2.1.6). */
const [DNS_NAME, IP_ADDRESS] = [2, 7];

/** The subject alternative names of a certificate; IP addresses in canonical form. */
export function altNamesOf(certificate: X509Certificate): AltNames {
  const names = extensionOf(certificate, OID.subjectAltName)?.value;
  const values = (tag: number) =>
    (Array.isArray(names) ? names : [])
      .filter((item) => item.tagClass === Class.CONTEXT_SPECIFIC && (item.type as number) === tag)
      .map(({ value }) => value)
      .filter((value) => typeof value === "string");
  return {
    dnsNames: values(DNS_NAME),
    ipAddresses: values(IP_ADDRESS)
      .map((bytes) => Buffer.from(bytes, "binary"))
      .filter(({ length }) => length === 4 || length === 16)
      .map(ipFromBytes),
  };
}

/**
 * Whether a certificate is for a host name or address, by the rules of Go's VerifyHostname, which kubeadm and every
 * client of Kubernetes goes by (RFC 6125): addresses by IP names alone, names without regard to case, `*` as a whole
 * first label for exactly one label, and never the common name.
 */
export function isFor(certificate: X509Certificate, host: string): boolean {
  return covers(altNamesOf(certificate), host);
}

/** The names of a list that a certificate is not for. */
export function missingNames(certificate: X509Certificate, wanted: AltNames): string[] {
  const has = altNamesOf(certificate);
  return [...wanted.dnsNames, ...wanted.ipAddresses].filter((name) => !covers(has, name));
}

function covers({ dnsNames, ipAddresses }: AltNames, host: string): boolean {
  const ip = canonicalIp(host.replace(/^\[(.+)\]$/, "$1"));
  if (ip) return ipAddresses.includes(ip);
  const name = lower(host);
  // A trailing dot is the root's, and part of no label.
  const relative = name.replace(/\.$/, "");
  return dnsNames.map(lower).some((pattern) => {
    if (!isHostName(relative) || !isHostName(pattern.replace(/^\*\./, ""))) return pattern === name && relative !== "";
    const [wanted, given] = [pattern.split("."), relative.split(".")];
    return (
      wanted.length === given.length && wanted.every((label, i) => label === given[i] || (i === 0 && label === "*"))
    );
  });
}

/** Go's validHostname: labels of letters, digits, `_`, and `-` not at the beginning. */
function isHostName(text: string): boolean {
  return text.split(".").every((label) => /^[A-Za-z0-9_][A-Za-z0-9_-]*$/.test(label));
}

/** ASCII letters alone: names in certificates are ASCII, and others must not fold onto them. */
const lower = (text: string) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
