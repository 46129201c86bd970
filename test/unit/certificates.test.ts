import { expect, test } from "bun:test";
import { newCertificateKey, openCertificate, sealCertificate } from "../../lib/cluster/certificates.ts";

test("uploaded certificates open only with their key, and not when changed", () => {
  const key = newCertificateKey();
  const data = Buffer.from("a private key");
  const sealed = sealCertificate(data, key);
  expect(openCertificate(sealed, key)).toEqual(data);
  expect(() => openCertificate(sealed, newCertificateKey())).toThrow();
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed);
    changed[i]! ^= 1;
    expect(() => openCertificate(changed, key)).toThrow();
  }
});
