import type { X509Certificate } from "node:crypto";
import { certificateKeyWeakness, publicKeyOf, signatureWeakness } from "./strength.ts";

/** As many signatures are checked for one chain as Go's crypto/x509 checks. */
const MAX_CHECKS = 100;

/** Whether a CA issued and signed a certificate. */
function issuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  try {
    const key = publicKeyOf(ca);
    return key !== undefined && certificate.checkIssued(ca) && certificate.verify(key);
  } catch {
    return false;
  }
}

/**
 * Why no chain of signatures that Kubernetes believes leads from a certificate to one of `anchors`, by way of `others`;
 * undefined where one does. Anchors count as such whether they are self-signed or not, as Go has it. Whoever signs is a
 * CA, and no key or signature on the way is weak. Dates, usages and the CAs' constraints are not looked at.
 */
export function chainFault(
  certificate: X509Certificate,
  others: X509Certificate[],
  anchors: X509Certificate[],
): string | undefined {
  let checks = 0;
  let weak: string | undefined;
  const leads = (from: X509Certificate, rest: X509Certificate[]): boolean => {
    const fault = certificateKeyWeakness(from);
    if (fault) {
      weak ??= `the key of ${nameOf(from)} ${fault}`;
      return false;
    }
    if (anchors.some((anchor) => anchor.raw.equals(from.raw))) return true;
    const signers = [...anchors, ...rest].filter((ca) => ca.ca && ++checks <= MAX_CHECKS && issuedBy(from, ca));
    if (signers.length === 0) return false;
    const signature = signatureWeakness(from);
    if (signature) {
      weak ??= `${nameOf(from)} ${signature}`;
      return false;
    }
    return signers.some((ca) =>
      leads(
        ca,
        rest.filter((other) => other !== ca),
      ),
    );
  };
  if (leads(certificate, others)) return undefined;
  return weak ?? "its signature is not that CA's";
}

/** `the certificate "kube-apiserver"`, for messages. */
function nameOf(certificate: X509Certificate): string {
  const name = /^CN=([^\n]{1,100})$/m.exec(certificate.subject ?? "")?.[1];
  return name ? `the certificate ${JSON.stringify(name)}` : "a certificate without a name";
}
