import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { command, type Ended } from "../support/command.ts";
import { type Forged, forged, type Party } from "../support/forge.ts";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-existing-"));
  write("config.yaml", config());
});
afterEach(() => fs.rmSync(root, { recursive: true }));

const pki = (name: string) => join(root, "etc/kubernetes/pki", name);
const has = (name: string) => fs.existsSync(pki(name));
function write(path: string, data: string | Buffer): void {
  const target = path.startsWith("/") ? path : join(root, path);
  fs.mkdirSync(dirname(target), { recursive: true });
  fs.writeFileSync(target, data);
}
const put = (base: string, party: Party, ...behind: Party[]) => {
  write(pki(`${base}.crt`), [party, ...behind].map(({ cert }) => cert).join(""));
  write(pki(`${base}.key`), party.keyPem);
};
const config = (sans = "[]", name = "node1") => `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.10}
nodeRegistration: {name: ${name}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer: {certSANs: ${sans}}
`;
const phase = (...words: string[]): Promise<Ended> =>
  command("init", "phase", ...words, "--config", join(root, "config.yaml"), "--rootfs", root);
const done = { code: 0, printed: expect.any(String) };
const refused = (...words: string[]) => ({ code: 1, printed: expect.stringMatching(new RegExp(words.join("[^]*"))) });

const CA: Forged = { subject: "kubernetes", basic: { ca: true }, keyUsage: 0x06 };
const SERVER: Forged = {
  subject: "kube-apiserver",
  extKeyUsage: ["server"],
  dns: ["node1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"],
  ip: ["10.96.0.1", "192.0.2.10"],
};

describe("a CA that is there and cannot be used is named, and nothing is signed", () => {
  const openssl = (...args: string[]) => run("openssl", args);
  const made = (...how: string[]) => {
    fs.mkdirSync(dirname(pki("ca.crt")), { recursive: true });
    openssl("req", "-x509", "-nodes", "-subj", "/CN=ca", "-keyout", pki("ca.key"), "-out", pki("ca.crt"), ...how);
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  const cases: Record<string, [make: () => void, ...said: string[]]> = {
    "in DER": [
      () => {
        made(...ec);
        openssl("x509", "-in", pki("ca.crt"), "-outform", "DER", "-out", pki("ca.crt"));
      },
      "ca\\.crt is a certificate in DER",
      "openssl x509 -inform DER -in",
    ],
    "a key in DER": [
      () => {
        made(...ec);
        openssl("pkey", "-in", pki("ca.key"), "-outform", "DER", "-out", pki("key"));
        fs.renameSync(pki("key"), pki("ca.key"));
      },
      "ca\\.key is a private key in DER",
      "openssl pkey -inform DER -in",
    ],
    "an encrypted key": [
      () => {
        made(...ec);
        openssl("pkey", "-in", pki("ca.key"), "-aes128", "-passout", "pass:word", "-out", pki("key"));
        fs.renameSync(pki("key"), pki("ca.key"));
      },
      "ca\\.key is encrypted with a passphrase",
    ],
    "an encrypted key of the old kind": [
      () => {
        made("-newkey", "rsa:2048");
        openssl("rsa", "-in", pki("ca.key"), "-traditional", "-aes128", "-passout", "pass:word", "-out", pki("ca.key"));
      },
      "ca\\.key is encrypted with a passphrase",
    ],
    Ed25519: [() => made("-newkey", "ed25519"), "ca\\.key is a key of the kind ed25519", "RSA and ECDSA keys only"],
    "RSA with 512 bits": [() => made("-newkey", "rsa:512"), "ca\\.crt cannot be used: its key is RSA with 512 bits"],
    secp256k1: [
      () => made("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
      "ca\\.crt cannot be used: its key is of a kind or on a curve",
    ],
    "P-224": [
      () => made("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"),
      "ca\\.crt cannot be used: its key is on the curve secp224r1",
    ],
    "no CA at all": [() => put("ca", forged({ ...CA, basic: {} })), "ca\\.crt is not a CA certificate"],
    "a CA without the usage of one": [
      () => put("ca", forged({ ...CA, keyUsage: 0x80 })),
      "ca\\.crt is not a CA certificate",
    ],
    "a key for a certificate": [
      () => {
        const party = forged(CA);
        put("ca", party);
        write(pki("ca.crt"), party.keyPem);
      },
      "ca\\.crt is not a certificate in PEM: it holds EC PRIVATE KEY",
    ],
    "something unreadable behind it": [
      () => {
        put("ca", forged(CA));
        fs.appendFileSync(pki("ca.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
      },
      "ca\\.crt is not a certificate in PEM: certificate 2 of 2 in it cannot be read",
    ],
    "the root before the intermediate whose key it is": [
      () => {
        const top = forged({ ...CA, subject: "root" });
        const ca = forged(CA, top);
        put("ca", { ...top, keyPem: ca.keyPem }, ca);
      },
      "ca\\.key is not the key of .*ca\\.crt",
      "of a certificate further down in .*ca\\.crt, which must come first",
    ],
    "an empty file": [() => put("ca", { ...forged(CA), cert: "" }), "ca\\.crt is not a certificate in PEM"],
    "an empty key": [() => put("ca", { ...forged(CA), keyPem: "" }), "ca\\.key is not a private key in PEM"],
  };
  for (const [name, [make, ...said]] of Object.entries(cases))
    test(name, async () => {
      make();
      for (const which of ["apiserver", "all"]) {
        const ended = await phase("certs", which);
        expect(ended).toEqual(refused(...said));
        expect(ended.printed).not.toContain("bug in kubestick");
      }
      expect(has("apiserver.crt")).toBe(false);
    });
});

describe("a CA that kubeadm uses is used", () => {
  const cases: Record<string, () => void> = {
    "an intermediate": () => put("ca", forged(CA, forged({ ...CA, subject: "root" }))),
    "an intermediate, its root behind it": () => {
      const top = forged({ ...CA, subject: "root" });
      put("ca", forged(CA, top), top);
    },
    "self-signed with SHA-1, which nobody looks at": () => put("ca", forged({ ...CA, hash: "sha1" }, undefined, 2048)),
    "RSA with 1024 bits and the exponent 3": () => put("ca", forged(CA, undefined, 1024)),
    "P-521": () => put("ca", forged(CA, undefined, "P-521")),
    "parameters before the key, words before the certificate, CR LF": () => {
      const party = forged(CA);
      put("ca", party);
      write(
        pki("ca.key"),
        `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${party.keyPem}`,
      );
      write(pki("ca.crt"), `subject=CN = kubernetes\n\n${party.cert}`.replaceAll("\n", "\r\n"));
    },
    "a key in PKCS #8": () => {
      const party = forged(CA);
      put("ca", party);
      write(pki("ca.key"), party.key.export({ format: "pem", type: "pkcs8" }) as string);
    },
  };
  for (const [name, make] of Object.entries(cases))
    test(name, async () => {
      make();
      expect(await phase("certs", "ca")).toEqual(done);
      expect(await phase("certs", "apiserver")).toEqual(done);
      const check = ["verify", "-partial_chain", "-auth_level", "0", "-CAfile", pki("ca.crt"), pki("apiserver.crt")];
      expect(run("openssl", check)).toContain("OK");
      expect(await phase("kubeconfig", "admin")).toEqual(done);
    });
});

describe("a certificate that is there", () => {
  const ca = forged(CA);
  const kept = async (leaf: Party, ...behind: Party[]) => {
    put("apiserver", leaf, ...behind);
    const before = fs.readFileSync(pki("apiserver.crt"), "utf8");
    const ended = await phase("certs", "apiserver");
    expect(fs.readFileSync(pki("apiserver.crt"), "utf8")).toBe(before);
    return ended;
  };
  beforeEach(() => put("ca", ca));

  test("covers names by a wildcard, and without regard to case", async () => {
    write("config.yaml", config("[api.example.test]"));
    const dns = [...SERVER.dns!.slice(1), "NODE1", "*.example.test"];
    expect(await kept(forged({ ...SERVER, dns }, ca))).toEqual(done);
    write("config.yaml", config("[a.b.example.test]"));
    expect(await kept(forged({ ...SERVER, dns }, ca))).toEqual(
      refused("apiserver\\.crt lacks the subject alternative name a\\.b\\.example\\.test"),
    );
  });

  test("may come by way of an intermediate that stands behind it", async () => {
    const between = forged({ ...CA, subject: "between" }, ca);
    expect(await kept(forged(SERVER, between), between)).toEqual(done);
    expect(await kept(forged(SERVER, between))).toEqual(
      refused("apiserver\\.crt does not come from the CA .*ca\\.crt"),
    );
    const none = forged({ ...CA, subject: "between", basic: {} }, ca);
    expect(await kept(forged(SERVER, none), none)).toEqual(refused("apiserver\\.crt does not come from the CA"));
  });

  test("is refused with a weak signature or key, a stranger's signature, or for another use", async () => {
    const rsa = forged(CA, undefined, 2048);
    const weak: [leaf: Party, ca: Party, said: string][] = [
      [forged({ ...SERVER, hash: "sha1" }, ca), ca, "is signed with ecdsa-with-SHA1"],
      [forged({ ...SERVER, hash: "sha1" }, rsa), rsa, "is signed with sha1WithRSAEncryption"],
      [forged({ ...SERVER, hash: "md5" }, rsa), rsa, "is signed with md5WithRSAEncryption|its signature is not"],
      [forged(SERVER, rsa, 512), rsa, 'the key of the certificate "kube-apiserver" is RSA with 512 bits'],
      [forged(SERVER, { subject: "kubernetes", key: rsa.key }), ca, "its signature is not that CA's"],
      [forged({ ...SERVER, extKeyUsage: ["client"] }, ca), ca, "is not for the use as a server"],
    ];
    for (const [leaf, issuer, said] of weak) {
      put("ca", issuer);
      expect(await kept(leaf)).toEqual(refused("apiserver\\.crt", said));
    }
  });
});

describe("the keys of service accounts", () => {
  const pair = () => {
    const { keyPem, publicKey } = forged({}, undefined, 2048);
    return { key: keyPem, pub: publicKey.export({ format: "pem", type: "spki" }) as string };
  };
  test("the public half is the key's, alone or among others, or it is an error that names it", async () => {
    const [own, other] = [pair(), pair()];
    write(pki("sa.key"), own.key);
    for (const pub of [own.pub, other.pub + own.pub]) {
      write(pki("sa.pub"), pub);
      expect(await phase("certs", "sa")).toEqual(done);
    }
    const bad = [other.pub, "", Buffer.alloc(900), own.pub.slice(0, 200), own.pub.replaceAll(/[A-Z]/g, "A"), "words"];
    for (const pub of bad) {
      write(pki("sa.pub"), pub);
      expect(await phase("certs", "sa")).toEqual(
        refused(
          "sa\\.pub does not hold the public half of .*sa\\.key",
          "openssl pkey -in .*sa\\.key -pubout -out .*sa\\.pub",
        ),
      );
      expect(fs.readFileSync(pki("sa.pub"))).toEqual(Buffer.from(pub as string));
    }
    fs.rmSync(pki("sa.pub"));
    expect(await phase("certs", "sa")).toEqual(done);
    expect(fs.readFileSync(pki("sa.pub"), "utf8")).toBe(own.pub);
  });

  test("the private half is RSA or ECDSA, and is not made anew beside another's public half", async () => {
    const own = pair();
    write(pki("sa.key"), run("openssl", ["genpkey", "-algorithm", "ed25519"]));
    expect(await phase("certs", "sa")).toEqual(refused("sa\\.key is a key of the kind ed25519"));
    fs.rmSync(pki("sa.key"));
    write(pki("sa.pub"), own.pub);
    expect(await phase("certs", "sa")).toEqual(refused("sa\\.key is missing"));
    expect(has("sa.key")).toBe(false);
  });
});

describe("a kubeconfig that is there", () => {
  const ca = forged(CA);
  const other = forged({ ...CA, subject: "another" });
  const FILES = ["admin", "controller-manager", "scheduler", "kubelet"];
  const user = forged({ subject: "kubernetes-admin", extKeyUsage: ["client"] }, ca);
  const written = (authority: string, server = "https://192.0.2.10:6443") =>
    writeYaml(kubeconfig("kubernetes", "u", server, authority, { certificate: user.cert, key: user.keyPem }));
  const keep = async (name: string, text: string) => {
    write(`etc/kubernetes/${name}.conf`, text);
    const ended = await phase("kubeconfig", name);
    expect(fs.readFileSync(join(root, `etc/kubernetes/${name}.conf`), "utf8")).toBe(text);
    return ended;
  };
  beforeEach(() => put("ca", ca));

  test("is used when it leads elsewhere, such as to a balancer, with a warning", async () => {
    for (const name of FILES)
      expect(await keep(name, written(ca.cert, "https://lb.example.test:443"))).toEqual({
        code: 0,
        printed: expect.stringContaining(
          `${name}.conf points to https://lb.example.test:443, and this control plane is at https://192.0.2.10:6443; it is used as it is`,
        ),
      });
  });

  test("has the same CA whatever stands around the certificate", async () => {
    const same = [ca.cert, ca.cert.replaceAll("\n", "\r\n"), `# our CA\n\n${ca.cert}\n\n`, ca.cert + other.cert];
    for (const authority of same) expect(await keep("admin", written(authority))).toEqual(done);
    put("ca", ca, other);
    expect(await keep("admin", written(other.cert))).toEqual(done);
  });

  test("of another cluster is refused, and so is one that is damaged", async () => {
    const damaged: [text: string, said: string][] = [
      [written(other.cert), "admin\\.conf belongs to another cluster: its CA is not .*ca\\.crt"],
      [written(other.cert + ca.cert), "admin\\.conf belongs to another cluster"],
      [written("words"), "the certificate authority of .*admin\\.conf is not a certificate in PEM"],
      [written(ca.cert, "http://192.0.2.10:6443"), "is not reached over https"],
      [
        written(ca.cert).replace(/client-key-data: .*/, `client-key-data: ${btoa(other.keyPem)}`),
        "its client key is not that of its client certificate",
      ],
      [written(ca.cert).replace(/client-key-data: .*/, ""), "without the other"],
      [written(ca.cert).replace(/server: .*/, "server: 6443"), "its server is not a text"],
      ["", "it is no mapping"],
    ];
    for (const [text, said] of damaged) expect(await keep("admin", text)).toEqual(refused(said));
  });
});

test("a controller manager signs with the CA alone, where its root stands behind it in ca.crt", async () => {
  const top = forged({ ...CA, subject: "root" });
  const ca = forged(CA, top);
  const flag = () =>
    /--cluster-signing-cert-file=(\S*)/.exec(
      fs.readFileSync(join(root, "etc/kubernetes/manifests/kube-controller-manager.yaml"), "utf8"),
    )![1]!;
  put("ca", ca, top);
  expect(await phase("control-plane", "controller-manager")).toEqual(done);
  expect(fs.readFileSync(join(root, flag()), "utf8")).toBe(ca.cert);
  put("ca", ca);
  expect(await phase("control-plane", "controller-manager")).toEqual(done);
  expect(flag()).toBe("/etc/kubernetes/pki/ca.crt");
});

test("an external CA: what is there is used, what is missing is named, and it is said that nobody signs for kubelets", async () => {
  for (const words of [
    ["certs", "all"],
    ["kubeconfig", "all"],
  ])
    expect(await phase(...words)).toEqual(done);
  fs.rmSync(pki("ca.key"));
  const ended = await phase("certs", "all");
  expect(ended).toEqual({ code: 0, printed: expect.stringContaining("so the cluster signs no kubelet's certificate") });
  write("config.yaml", `${config()}controllerManager: {extraArgs: [{name: cluster-signing-key-file, value: /k}]}\n`);
  expect((await phase("certs", "ca")).printed).not.toContain("signs no kubelet's certificate");
  fs.rmSync(join(root, "etc/kubernetes/super-admin.conf"));
  expect(await phase("kubeconfig", "all")).toEqual({
    code: 0,
    printed: expect.stringContaining('No "super-admin.conf": the CA\'s key is not on this host'),
  });
  fs.rmSync(join(root, "etc/kubernetes/scheduler.conf"));
  expect(await phase("kubeconfig", "all")).toEqual(
    refused(
      "scheduler\\.conf is missing, and the CA's key .*ca\\.key is not on this host",
      "make .*scheduler\\.conf elsewhere",
    ),
  );
});
