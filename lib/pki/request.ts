import type { KeyObject } from "node:crypto";
import { asn1, context, der, name, pem, sequence, signed, spki } from "./asn1.ts";

/** A certificate signing request in PEM (PKCS #10, RFC 2986), without attributes. */
export function certificateRequest(
  subject: { commonName: string; organizations: string[] },
  keys: { publicKey: KeyObject; privateKey: KeyObject },
): string {
  const info = sequence(
    der(asn1.Type.INTEGER, "\0"),
    name(subject.commonName, subject.organizations),
    spki(keys.publicKey),
    context(0, true, []),
  );
  return pem("CERTIFICATE REQUEST", signed(info, keys.privateKey));
}
