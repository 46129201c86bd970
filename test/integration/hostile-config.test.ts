import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { brokeDown, kubestick, measured } from "../support/kubestick.ts";
import { clusterText, initText, Rooted } from "../support/rooted.ts";

let at: Rooted;
beforeEach(() => {
  at = new Rooted();
});
afterEach(() => at.remove());

const HEAD = initText() + clusterText();
const KIB = 1024;
const upTo = (piece: string, size: number) => piece.repeat(Math.floor(size / piece.length));
const laughs = () =>
  Array.from({ length: 12 }, (_, i) => `x${i}: &a${i} [${Array(10).fill(i === 0 ? "x" : `*a${i - 1}`)}]\n`).join("");

/** Texts that a parser can be made to work, or to remember, without end. */
const HOSTILE: Record<string, string> = {
  "a megabyte of [": upTo("[", KIB * KIB - 1),
  "as many [ as a configuration may have": upTo("[", 250 * KIB),
  "nested 100,000 deep": `${HEAD}x: ${"[".repeat(100_000)}${"]".repeat(100_000)}\n`,
  "lists in lists": upTo("- ", 250 * KIB),
  "mappings in mappings": upTo("? ", 250 * KIB),
  "100,000 keys":
    HEAD +
    Array.from({ length: 100_000 }, (_, i) => `${i.toString(36)}:\n`)
      .join("")
      .slice(0, 240 * KIB),
  "60,000 items": `${HEAD}apiServer:\n  certSANs: [${upTo("a,", 120_000)}]\n`,
  "60,000 duplicate keys": HEAD + upTo("k: v\n", 240 * KIB),
  "10,000 duplicate keys": HEAD + upTo("k: v\n", 50_000),
  "aliases of aliases": `${HEAD}${laughs()}apiServer: {certSANs: *a11}\n`,
  "merged aliases of aliases": `${HEAD}a: &x0 {k: v}\n${Array.from({ length: 40 }, (_, i) => `b${i}: &x${i + 1} {<<: [*x${i}, *x${i}]}\n`).join("")}apiServer: {<<: *x40}\n`,
  quotes: upTo('"', 250 * KIB),
  "lines of a block": `${HEAD}x: |\n${upTo(" a\n", 240 * KIB)}`,
  documents: upTo("--- a\n", 250 * KIB),
  "a long duration": `${initText(`timeouts: {discovery: ${upTo("1h", 240 * KIB)}}\n`)}`,
  "a long image repository": initText() + clusterText(`imageRepository: a/${upTo("a_", 200 * KIB)}\n`),
  "a long number": initText("", `  bindPort: 1${upTo("_", 240 * KIB)}\n`),
};

describe("a hostile configuration", () => {
  for (const [name, text] of Object.entries(HOSTILE)) {
    test(`ends soon, in little memory and with few words: ${name}`, () => {
      const out = measured("init", "phase", "control-plane", "--config", at.write("c.yaml", text), "--rootfs", at.root);
      expect({ code: out.code, broke: brokeDown(out.stderr) }).toEqual({ code: out.code === 0 ? 0 : 2, broke: false });
      expect(out.megabytes).toBeLessThan(128);
      expect(out.seconds).toBeLessThan(20);
      expect(out.stderr.length).toBeLessThan(20_000);
    });
  }

  test("with keys that JavaScript's objects have is one with unknown fields, or with values of its own", async () => {
    const odd = "{__proto__: x, constructor: x, toString: x, hasOwnProperty: x}";
    for (const [body, code] of [
      [clusterText("__proto__: {a: b}\nconstructor: {a: b}\ntoString: c\n"), 2],
      [clusterText("featureGates: {__proto__: true, constructor: true, toString: true}\n"), 2],
      [clusterText("apiServer: {extraArgs: [{name: constructor, value: x}]}\n"), 0],
      [`---\napiVersion: __proto__\nkind: constructor\n`, 2],
      [`---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: toString\n`, 2],
      [`---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionHard: ${odd}\n`, 0],
    ] as const) {
      const out = await at.phase(initText() + body, "control-plane");
      expect({ body, code: out.code, broke: brokeDown(out.stderr) }).toEqual({ body, code, broke: false });
    }
    const patch = `metadata:\n  labels: ${odd}\n  annotations: ${odd}\n__proto__: {a: b}\nconstructor: {a: b}\n`;
    for (const type of ["strategic", "merge"]) at.write(`patches/etcd+${type}.yaml`, patch);
    at.write("patches/etcd2+json.yaml", "- {op: add, path: /metadata/labels/__proto__, value: z}\n");
    const { code } = await at.phase(
      `${initText()}patches: {directory: ${join(at.dir, "patches")}}\n${clusterText()}`,
      "etcd",
    );
    expect(code).toBe(0);
    expect(Object.keys(at.pod("etcd").metadata.labels)).toContain("__proto__");
    expect(at.text("etc/kubernetes/manifests/etcd.yaml")).toContain("    __proto__: z\n");
  });
});

describe("what is no plain file is not read", () => {
  /** Makes something that a reader would wait for, or read for ever. */
  const make: Record<string, (path: string) => unknown> = {
    FIFO: (path) => run("mkfifo", [path]),
    device: (path) => symlinkSync("/dev/zero", path),
    directory: (path) => mkdirSync(path),
    socket: (path) =>
      new Promise((resolve) => {
        const server = createServer().listen(path, () => resolve(server.unref()));
      }),
  };

  for (const [kind, put] of Object.entries(make)) {
    const said = `it is a ${kind}, not a plain file`;
    test(`a ${kind}: configuration, patch, manifest, kubeconfig`, async () => {
      const path = join(at.dir, "odd.yaml");
      await put(path);
      const config = await kubestick("init", "phase", "certs", "--config", path, "--rootfs", at.root);
      expect([config.code, config.stderr]).toEqual([2, expect.stringContaining(said)]);
      const joining = await kubestick("join", "--config", path);
      expect([joining.code, joining.stderr]).toEqual([2, expect.stringContaining(said)]);
      const tokens = await kubestick("token", "list", "--kubeconfig", path);
      expect([tokens.code, tokens.stderr]).toEqual([1, expect.stringContaining(said)]);
      const network = await at.dryRun(HEAD, "--network", path);
      expect([network.code, network.stderr]).toEqual([1, expect.stringContaining(said)]);
      if (kind === "directory") return;
      mkdirSync(join(at.dir, "patches"));
      await put(join(at.dir, "patches/etcd.yaml"));
      const patched = await at.phase(HEAD, "etcd", "--patches", join(at.dir, "patches"));
      expect([patched.code, patched.stderr]).toEqual([2, expect.stringContaining(said)]);
    });

    test(`a ${kind}: files of the host`, async () => {
      expect(await at.dryRun(HEAD)).toMatchObject({ code: 0 });
      const hostFiles = [
        "etc/resolv.conf",
        "etc/kubernetes/pki/ca.crt",
        "etc/kubernetes/pki/apiserver.key",
        "etc/kubernetes/admin.conf",
        "etc/kubernetes/manifests/etcd.yaml",
        "var/lib/kubelet/config.yaml",
      ];
      for (const file of hostFiles) {
        const path = join(at.root, file);
        mkdirSync(dirname(path), { recursive: true });
        const there = existsSync(path);
        if (there) renameSync(path, `${path}.kept`);
        // A device can only be put below another root as such, and a link stays below it.
        if (kind === "device") run("mknod", [path, "c", "1", "5"]);
        else await put(path);
        const { code, stderr } = await at.dryRun(HEAD);
        expect([file, code, stderr]).toEqual([file, 1, expect.stringContaining(`/${file}: ${said}`)]);
        rmSync(path, { recursive: true });
        if (there) renameSync(`${path}.kept`, path);
      }
    });
  }
});
