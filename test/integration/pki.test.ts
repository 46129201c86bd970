import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EncryptionAlgorithm } from "../../lib/config/kinds/cluster.ts";
import { Files } from "../../lib/host/files.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { newKeyPair, privateKeyPem, publicKeyPem } from "../../lib/pki/algorithms.ts";
import { caPin, certificatePem, newCertificate } from "../../lib/pki/certificate.ts";
import { CERTIFICATES } from "../../lib/pki/kubeadm-certs.ts";
import { certificateRequest } from "../../lib/pki/request.ts";
import { CertificateStore } from "../../lib/pki/store.ts";
import { configFrom, MINIMAL } from "../support/config.ts";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-pki-"));
});
afterEach(() => fs.rmSync(root, { recursive: true }));

const pki = (name: string) => join(root, "etc/kubernetes/pki", name);
const store = (config = configFrom(MINIMAL), now = new Date()) => new CertificateStore(new Files(root), config, now);
async function ensureAll(s: CertificateStore) {
  const outcomes: string[] = [];
  for (const spec of CERTIFICATES) outcomes.push(await s.ensure(spec));
  outcomes.push(await s.ensureServiceAccountKey());
  return outcomes;
}
const spec = (name: string) => CERTIFICATES.find((c) => c.name === name)!;

describe("openssl accepts what we make", () => {
  for (const algorithm of [
    "ECDSA-P256",
    "ECDSA-P384",
    "RSA-2048",
    "RSA-3072",
    "RSA-4096",
  ] satisfies EncryptionAlgorithm[]) {
    test(algorithm, async () => {
      const s = store(configFrom(`${MINIMAL}encryptionAlgorithm: ${algorithm}\n`));
      s.prepareKeys(CERTIFICATES.map((c) => c.base));
      await ensureAll(s);
      for (const { base, ca } of CERTIFICATES) {
        const signer = pki(`${ca ? spec(ca).base : base}.crt`);
        expect(run("openssl", ["verify", "-x509_strict", "-CAfile", signer, pki(`${base}.crt`)])).toContain("OK");
        const fromKey = run("openssl", ["pkey", "-in", pki(`${base}.key`), "-pubout"]);
        expect(run("openssl", ["x509", "-in", pki(`${base}.crt`), "-pubkey", "-noout"])).toBe(fromKey);
      }
      expect(run("openssl", ["pkey", "-in", pki("sa.key"), "-pubout"])).toBe(fs.readFileSync(pki("sa.pub"), "utf8"));
    });
  }

  test("the CA pin is openssl's", async () => {
    const s = store();
    await s.ensure(spec("ca"));
    const digest = run("bash", [
      "-c",
      `openssl x509 -in ${pki("ca.crt")} -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -r`,
    ]);
    expect(caPin(s.certificate("ca")!)).toBe(`sha256:${digest.split(" ")[0]}`);
  });

  test("a TLS server with our certificate is trusted by its names and no others", async () => {
    const s = store();
    await ensureAll(s);
    const verify = (...name: string[]) =>
      tryRun("openssl", ["verify", "-CAfile", pki("ca.crt"), ...name, pki("apiserver.crt")]).status;
    expect(verify("-verify_hostname", "kubernetes.default.svc")).toBe(0);
    expect(verify("-verify_ip", "10.96.0.1")).toBe(0);
    expect(verify("-verify_hostname", "example.com")).not.toBe(0);
    expect(verify("-purpose", "sslserver")).toBe(0);
    expect(verify("-purpose", "sslclient")).not.toBe(0);
  });
});

describe("what is there already", () => {
  test("is used and not touched, and what is missing is added", async () => {
    expect(new Set(await ensureAll(store()))).toEqual(new Set(["created"]));
    const before = snapshot();
    expect(new Set(await ensureAll(store()))).toEqual(new Set(["existing"]));
    expect(snapshot()).toEqual(before);
    fs.rmSync(pki("front-proxy-client.crt"));
    expect((await ensureAll(store())).filter((o) => o === "created")).toHaveLength(1);
    // The key that a crash left without its certificate is the one that is used.
    expect(snapshot()[pki("front-proxy-client.key")]).toBe(before[pki("front-proxy-client.key")]!);
  });

  test("a CA that openssl made is used", async () => {
    fs.mkdirSync(join(root, "etc/kubernetes/pki"), { recursive: true });
    run("openssl", [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      pki("ca.key"),
      "-out",
      pki("ca.crt"),
      "-days",
      "30",
      "-subj",
      "/O=School of Ünïcode/CN=Corporate CA",
    ]);
    expect(await store().ensure(spec("ca"))).toBe("existing");
    expect(await store().ensure(spec("apiserver"))).toBe("created");
    expect(run("openssl", ["verify", "-CAfile", pki("ca.crt"), pki("apiserver.crt")])).toContain("OK");
  });

  test("external CA mode: complete without the CA's key, and an error that says which certificate is missing", async () => {
    await ensureAll(store());
    fs.rmSync(pki("ca.key"));
    expect(await store().ensure(spec("ca"))).toBe("external");
    expect(await store().ensure(spec("apiserver"))).toBe("existing");
    fs.rmSync(pki("apiserver-kubelet-client.crt"));
    await expect(store().ensure(spec("apiserver-kubelet-client"))).rejects.toThrow(
      "pki/apiserver-kubelet-client.crt is missing, and the CA's key",
    );
  });

  test("each thing that does not fit is an error that names it", async () => {
    await ensureAll(store());
    const other = configFrom(`${MINIMAL}apiServer: {certSANs: [board.lan, 192.0.2.9]}\n`);
    await expect(store(other).ensure(spec("apiserver"))).rejects.toThrow(
      "lacks the subject alternative names board.lan, 192.0.2.9",
    );
    await expect(store(undefined, new Date(Date.now() + 400 * 86_400_000)).ensure(spec("apiserver"))).rejects.toThrow(
      "apiserver.crt expired on",
    );
    await expect(store(undefined, new Date("1970-01-02T00:00:00Z")).ensure(spec("ca"))).rejects.toThrow(
      "is valid only from",
    );
    const keys = await newKeyPair("ECDSA-P256");
    const dates = { notBefore: new Date(), notAfter: new Date(Date.now() + 86_400_000) };
    const stranger = newCertificate({ commonName: "kubernetes", ca: true, ...dates }, keys.publicKey, {
      selfKey: keys.privateKey,
    });
    fs.writeFileSync(pki("ca.crt"), certificatePem(stranger));
    await expect(store().ensure(spec("ca"))).rejects.toThrow("ca.key is not the key of");
    fs.writeFileSync(pki("ca.key"), privateKeyPem(keys.privateKey));
    await expect(store().ensure(spec("apiserver"))).rejects.toThrow("apiserver.crt does not come from the CA");
    fs.writeFileSync(pki("ca.crt"), "not pem");
    await expect(store().ensure(spec("ca"))).rejects.toThrow("is not a certificate in PEM");
    fs.rmSync(pki("ca.crt"));
    await expect(store().ensure(spec("ca"))).rejects.toThrow(
      "ca.crt is missing, but certificates that it signed are there",
    );
  });
});

function snapshot(): Record<string, string> {
  const dir = join(root, "etc/kubernetes/pki");
  const names = fs.readdirSync(dir, { recursive: true }) as string[];
  return Object.fromEntries(
    names.filter((n) => /\.(crt|key|pub)$/.test(n)).map((n) => [join(dir, n), fs.readFileSync(join(dir, n), "utf8")]),
  );
}

test("a certificate request is what openssl takes for one", async () => {
  for (const algorithm of ["ECDSA-P256", "RSA-2048"] satisfies EncryptionAlgorithm[]) {
    const keys = await newKeyPair(algorithm);
    const file = join(root, `${algorithm}.csr`);
    fs.writeFileSync(file, certificateRequest({ commonName: "system:node:n1", organizations: ["system:nodes"] }, keys));
    const text = run("openssl", ["req", "-in", file, "-verify", "-noout", "-subject", "-pubkey"]);
    expect(text).toContain("O = system:nodes, CN = system:node:n1");
    expect(text).toContain(publicKeyPem(keys.publicKey).trim());
  }
});
