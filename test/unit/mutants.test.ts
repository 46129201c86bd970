import { afterAll, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type forge from "node-forge";
import { KubestickError } from "../../lib/errors.ts";
import { Files } from "../../lib/host/files.ts";
import { kubeconfig, readKubeconfig, withServer } from "../../lib/kubeconfig/kubeconfig.ts";
import { privateKeyPem, publicKeysOf, readPrivateKey } from "../../lib/pki/algorithms.ts";
import { asn1, binary, pem } from "../../lib/pki/asn1.ts";
import { caPin, newCertificate } from "../../lib/pki/certificate.ts";
import { chainFault } from "../../lib/pki/chain.ts";
import { CERTIFICATES } from "../../lib/pki/kubeadm-certs.ts";
import { altNamesOf, isFor } from "../../lib/pki/names.ts";
import { readCertificates } from "../../lib/pki/pem.ts";
import { CertificateStore } from "../../lib/pki/store.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { configFrom, MINIMAL } from "../support/config.ts";
import { forged } from "../support/forge.ts";
import { Chance } from "../support/hostile.ts";

/** How many mutants of each kind; more, and another seed, by hand. */
const ROUNDS = Number(process.env["KUBESTICK_FUZZ_ROUNDS"] ?? 150);
const SEED = Number(process.env["KUBESTICK_FUZZ_SEED"] ?? 1);

const root = fs.mkdtempSync(join(tmpdir(), "kubestick-mutants-"));
afterAll(() => fs.rmSync(root, { recursive: true }));

const CA = { subject: "kubernetes", basic: { ca: true }, keyUsage: 0x06 };
const cas = [forged(CA), forged(CA, undefined, 2048), forged(CA, forged({ ...CA, subject: "root" }))];
const leaves = cas.map((ca) =>
  forged({ subject: "kube-apiserver", extKeyUsage: ["server"], dns: ["cp1"], ip: ["10.96.0.1"], permitted: ["x"] }, ca),
);
const keys = cas.flatMap(({ key }) => [
  key.export({ format: "der", type: "pkcs8" }) as Buffer,
  createPrivateKey(privateKeyPem(key)).export({
    format: "der",
    type: key.asymmetricKeyType === "rsa" ? "pkcs1" : "sec1",
  }) as Buffer,
]);

/** DER with one of its parts taken out, doubled, changed or put elsewhere; still DER. */
function bendDer(chance: Chance, der: Buffer): Buffer {
  const tree = asn1.fromDer(binary(der), { strict: false, decodeBitStrings: false } as never);
  const lists: forge.asn1.Asn1[][] = [];
  const walk = (node: forge.asn1.Asn1) => {
    if (!Array.isArray(node.value)) return;
    if (node.value.length > 0) lists.push(node.value as forge.asn1.Asn1[]);
    for (const child of node.value as forge.asn1.Asn1[]) walk(child);
  };
  walk(tree);
  for (let i = 0; i <= chance.number(2); i++) {
    const list = chance.pick(lists);
    const at = chance.number(list.length);
    const child = list[at];
    if (!child) continue;
    const change = chance.number(6);
    if (change === 0) list.splice(at, 1);
    else if (change === 1) list.splice(at, 0, child);
    else if (change === 2) list[at] = chance.pick(chance.pick(lists)) ?? child;
    else if (change === 3) child.type = chance.number(31) as never;
    else if (change === 4) child.tagClass = chance.pick([0, 64, 128, 192]) as never;
    else if (typeof child.value === "string") child.value = binary(chance.bytes(Buffer.from(child.value, "binary")));
  }
  try {
    return Buffer.from(asn1.toDer(tree).getBytes(), "binary");
  } catch {
    // A part that was put below itself has no end.
    return chance.bytes(der);
  }
}

const mutant = (chance: Chance, label: string, der: Buffer): string => {
  const kind = chance.number(4);
  if (kind === 0) return pem(label, bendDer(chance, der));
  if (kind === 1) return pem(label, chance.bytes(der));
  if (kind === 2) return chance.bytes(Buffer.from(pem(label, der))).toString("latin1");
  return pem(
    chance.pick(["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY", "X"]),
    bendDer(chance, der),
  );
};

/** What came of it; anything but a value or an error with words fails the test, and shows the input. */
async function worded<T>(input: unknown, use: () => T | Promise<T>): Promise<T | undefined> {
  const started = Date.now();
  try {
    return await use();
  } catch (error) {
    if (error instanceof KubestickError) {
      expect(error.message).not.toMatch(/\n\s+at /);
      return undefined;
    }
    throw new Error(`${String((error as Error).stack)}\nof ${JSON.stringify(input)}`);
  } finally {
    expect({ input, late: Date.now() - started > 10_000 }).toEqual({ input, late: false });
  }
}

const rounds = (name: string, job: (chance: Chance) => Promise<void>) =>
  test(`${ROUNDS} of ${name}`, async () => {
    for (let i = 0; i < ROUNDS; i++) await job(new Chance(SEED * 100_003 + i));
  });

describe("mutants end in a value or in words", () => {
  rounds("certificates", async (chance) => {
    const which = chance.number(cas.length);
    const text = mutant(chance, "CERTIFICATE", chance.pick([cas[which]!, leaves[which]!]).der);
    const found = await worded(text, () => readCertificates(text, "/x.crt"));
    for (const certificate of found ?? [])
      await worded(text, () => {
        altNamesOf(certificate);
        isFor(certificate, "cp1");
        expect(caPin(certificate)).toMatch(/^sha256:[0-9a-f]{64}$/);
        for (const anchor of [certificate, new X509Certificate(cas[which]!.der)])
          chainFault(certificate, [certificate], [anchor]);
      });
    // Trust is never a matter of luck: what differs from the leaf is not the CA's.
    const [leaf] = found ?? [];
    if (leaf && !leaf.raw.equals(leaves[which]!.der) && !cas.some(({ der }) => der.equals(leaf.raw)))
      expect({ text, fault: chainFault(leaf, [], [new X509Certificate(cas[which]!.der)]) }).toEqual({
        text,
        fault: expect.any(String),
      });
  });

  rounds("keys", async (chance) => {
    const at = chance.number(keys.length);
    const text = mutant(
      chance,
      at % 2 === 0 ? "PRIVATE KEY" : at === 3 ? "RSA PRIVATE KEY" : "EC PRIVATE KEY",
      keys[at]!,
    );
    await worded(text, () => readPrivateKey(Buffer.from(text, "latin1"), "/x.key"));
    await worded(text, () => publicKeysOf(Buffer.from(text, "latin1")));
  });

  rounds("certificates directories", async (chance) => {
    const pki = join(root, "etc/kubernetes/pki");
    fs.rmSync(pki, { recursive: true, force: true });
    const which = chance.number(cas.length);
    const bent = chance.pick(["ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "sa.key", "sa.pub"]);
    const [ca, leaf] = [cas[which]!, leaves[which]!];
    const pub = ca.publicKey.export({ format: "der", type: "spki" }) as Buffer;
    const pkcs8 = (key: typeof ca.key) => key.export({ format: "der", type: "pkcs8" }) as Buffer;
    const files: Record<string, [label: string, der: Buffer]> = {
      "ca.crt": ["CERTIFICATE", ca.der],
      "ca.key": ["PRIVATE KEY", pkcs8(ca.key)],
      "apiserver.crt": ["CERTIFICATE", leaf.der],
      "apiserver.key": ["PRIVATE KEY", pkcs8(leaf.key)],
      "sa.key": ["PRIVATE KEY", pkcs8(ca.key)],
      "sa.pub": ["PUBLIC KEY", pub],
    };
    let input = "";
    for (const [name, [label, der]] of Object.entries(files)) {
      const text = name === bent ? mutant(chance, label, der) : pem(label, der);
      if (name === bent) input = `${name}: ${text}`;
      fs.mkdirSync(dirname(join(pki, name)), { recursive: true });
      fs.writeFileSync(join(pki, name), text, "latin1");
    }
    const store = new CertificateStore(
      new Files(root),
      configFrom(`${MINIMAL}encryptionAlgorithm: ECDSA-P256\n`),
      new Date(),
    );
    for (const name of ["ca", "apiserver", "apiserver-kubelet-client"])
      await worded(input, () => store.ensure(CERTIFICATES.find((spec) => spec.name === name)!));
    await worded(input, () => store.ensureServiceAccountKey());
    await worded(input, () => store.clientCertificate({ commonName: "x", organizations: [] }, "x"));
  });

  rounds("kubeconfigs", async (chance) => {
    const [ca] = cas as [(typeof cas)[0]];
    const user = { certificate: leaves[0]!.cert, key: leaves[0]!.keyPem };
    const whole = kubeconfig(
      "kubernetes",
      "admin",
      "https://10.0.0.1:6443",
      ca.cert,
      chance.pick([user, { token: "t" }]),
    );
    const text =
      chance.number(3) === 0
        ? chance.bytes(Buffer.from(writeYaml(whole))).toString("latin1")
        : writeYaml(chance.value(whole));
    const read = () => chance.pick([undefined, "", "x", ca.cert]);
    const found = await worded(text, () => readKubeconfig(text, "/etc/kubernetes/admin.conf", read));
    if (found) expect(found.server).toStartWith("https://");
    await worded(text, () => withServer(text, "https://b:6443", "/etc/kubernetes/admin.conf"));
  });
});

test("a CA that is in order signs what is believed, whatever its own form", () => {
  for (const { der, key } of cas) {
    const certificate = new X509Certificate(der);
    const dates = { notBefore: new Date(), notAfter: new Date(Date.now() + 60_000) };
    const made = newCertificate({ commonName: "x", ...dates }, cas[0]!.publicKey, { certificate, privateKey: key });
    expect(chainFault(made, [], [certificate])).toBeUndefined();
  }
});
