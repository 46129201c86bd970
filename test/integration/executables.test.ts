import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { TOPICS } from "../../cmd/help/topics.ts";
import { keepExecutable } from "../../lib/bundle/attach.ts";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { EMBEDDED_LOCKS } from "../../lib/bundle/embedded.ts";
import { TESTED } from "../../lib/constants/tested.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { mirrorConfig } from "../../lib/runtime/containerd-config.ts";
import { Cri } from "../../lib/runtime/cri.ts";
import { serve } from "../../lib/serve/serve.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { TestContainerd } from "../support/containerd.ts";
import { expectDone } from "../support/done.ts";
import { ROOT } from "../support/executable.ts";
import { buildImages } from "../support/images.ts";
import { until } from "../support/node.ts";
import { sha256File } from "../support/registry.ts";
import { smallBundle } from "../support/small-bundle.ts";
import { UPSTREAM_IMAGES as NAMES } from "../support/stand-ins.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const OTHER = ARCH === "arm64" ? "amd64" : "arm64";
const PAUSE = `registry.k8s.io/${NAMES.find((name) => name.startsWith("pause"))}`;
const work = fs.mkdtempSync("/tmp/kubestick-exe-");
const at = (name: string) => join(work, name);
const executable = (arch: string) => at(`kubestick-linux-${arch}`);
const program = (path: string, ...args: string[]) => tryRun(path, args, 60_000);
const kubestick = (...args: string[]) => program(KUBESTICK[0]!, ...KUBESTICK.slice(1), ...args);

/** Runs this machine's executable, or the other architecture's in an emulator. */
function runs(arch: string, path: string, ...args: string[]) {
  return arch === ARCH
    ? program(path, ...args)
    : program("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", path, ...args);
}

beforeAll(() => {
  run(process.execPath, [join(ROOT, "build.ts"), `linux-${ARCH}`, `linux-${OTHER}`], 120_000);
  const built = join(ROOT, "build");
  for (const name of fs.readdirSync(built)) {
    if (/^(SHA256SUMS.*|RELEASE|kubestick\.(pub|spdx\.json)|kubestick-linux-(amd64|arm64))$/.test(name))
      fs.copyFileSync(join(built, name), at(name));
  }
  for (const arch of [ARCH, OTHER]) {
    const specs = NAMES.map((name) => ({
      name: `registry.k8s.io/${name}`,
      arch,
      files: { [`/${name.split(":")[0]}`]: "/bin/true" },
    }));
    buildImages(specs, at(`images-${arch}.tar`), at(`build-${arch}`));
    const out = kubestick("bundle", "create", at(`${arch}.tar`), "--from", at(`images-${arch}.tar`), "--arch", arch);
    if (out.status !== 0) throw new Error(out.stderr);
  }
});
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

describe("a release", () => {
  test("verify takes what was signed, and nothing else", () => {
    expect(kubestick("verify", work)).toMatchObject({ status: 0 });
    const print = /sha256:[0-9a-f]{64}/.exec(kubestick("verify", work).stdout)![0];
    expect(kubestick("verify", work, "--fingerprint", print).status).toBe(0);
    expect(kubestick("verify", work, "--fingerprint", `sha256:${"0".repeat(64)}`).stderr).toContain(
      "has the fingerprint",
    );
    const sums = fs.readFileSync(at("SHA256SUMS"), "utf8");
    fs.writeFileSync(
      at("SHA256SUMS"),
      sums.replace(/^./, (c) => (c === "0" ? "1" : "0")),
    );
    expect(kubestick("verify", work)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("is not signed by the key"),
    });
    fs.writeFileSync(at("SHA256SUMS"), sums);
    fs.appendFileSync(at("kubestick.spdx.json"), " ");
    expect(kubestick("verify", work)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("is not the file that was signed"),
    });
    fs.truncateSync(at("kubestick.spdx.json"), fs.statSync(at("kubestick.spdx.json")).size - 1);
    // openssl and sha256sum are other judges of the same files.
    run("sh", ["-c", `cd ${work} && sha256sum --quiet -c SHA256SUMS`]);
    fs.writeFileSync(at("sig"), Buffer.from(fs.readFileSync(at("SHA256SUMS.sig"), "utf8"), "base64"));
    run("openssl", [
      "pkeyutl",
      "-verify",
      "-pubin",
      "-inkey",
      at("kubestick.pub"),
      "-rawin",
      "-in",
      at("SHA256SUMS"),
      "-sigfile",
      at("sig"),
    ]);
  });

  test("the SBOM names what is compiled in", () => {
    const sbom = JSON.parse(fs.readFileSync(at("kubestick.spdx.json"), "utf8"));
    const names = sbom.packages.map((p: { name: string }) => p.name);
    const { dependencies } = JSON.parse(fs.readFileSync(join(ROOT, "package.json"), "utf8"));
    for (const name of [...Object.keys(dependencies), "bun"]) expect(names).toContain(name);
    expect(names).not.toContain("typescript");
  });
});

describe("a release and its versions", () => {
  test("RELEASE says what is deployed, pinned and tested; it is signed with the rest", () => {
    const text = fs.readFileSync(at("RELEASE"), "utf8");
    expect(kubestick("verify", work).stdout).toContain("RELEASE: signature OK");
    for (const line of [
      "installs Kubernetes v1.36.2 where no other version is asked for",
      "deploys control planes of v1.35 to v1.37",
      "  v1.37.1, without kubectl v1.37.1 for amd64 and arm64, kubelet v1.37.1 for amd64 and arm64",
      "  v1.36.2",
      "  v1.35.6",
      ...TESTED.map(({ kubernetes, etcd }) => `  Kubernetes ${kubernetes}, etcd ${etcd},`),
    ])
      expect(text).toContain(`\n${line}`);
    const told = JSON.parse(program(executable(ARCH), "version", "-o", "json").stdout);
    expect(told.controlPlanes).toEqual({ oldest: "v1.35.0", newest: "v1.37.x" });
    expect(told.testedWith).toEqual(TESTED);
  });

  test("nothing of the checkout's path is in an executable, so that the same sources give the same bytes anywhere", () => {
    for (const arch of [ARCH, OTHER]) expect(fs.readFileSync(executable(arch)).includes(ROOT)).toBe(false);
  });

  test("the help's pages and the scripts for shells are in the executable itself", () => {
    for (const { name, text } of TOPICS) {
      const shown = program(executable(ARCH), "help", name).stdout;
      expect({ name, whole: shown.endsWith(text) }).toEqual({ name, whole: true });
    }
    for (const shell of ["bash", "zsh", "fish"]) {
      const script = fs.readFileSync(join(ROOT, `cmd/completion/kubestick.${shell}`), "utf8");
      expect(program(executable(ARCH), "completion", shell).stdout).toBe(script);
    }
    expect(program(executable(ARCH), "__complete", "--", "init", "--skip-phases=etcd/").stdout).toContain(
      "--skip-phases=etcd/local\t",
    );
  });

  test("the locks are in the executable itself, of either architecture", () => {
    const out = program(executable(ARCH), "bundle", "create", at("none.tar"), "--kubernetes-version", "1.37");
    expect(out.stderr).toContain(`no digest of kubectl v1.37.1 and kubelet v1.37.1 for ${ARCH}`);
    const wanted = /index: (sha256:\S+)/.exec(EMBEDDED_LOCKS["kubernetes-v1.36.lock.yaml"]!)![1]!;
    for (const arch of [ARCH, OTHER]) expect(fs.readFileSync(executable(arch)).includes(wanted)).toBe(true);
  });
});

describe("attach and detach", () => {
  test("an executable carries its bundle, and gives it and itself back byte for byte", () => {
    const one = at("attached");
    expect(
      kubestick("bundle", "attach", at(`${ARCH}.tar`), "--executable", executable(ARCH), "--file", one).status,
    ).toBe(0);
    expect(runs(ARCH, one, "version").status).toBe(0);
    expect(JSON.parse(runs(ARCH, one, "bundle", "inspect", "-o", "json").stdout)).toMatchObject({
      file: one,
      images: NAMES.length,
    });
    expect(runs(ARCH, one, "bundle", "verify").status).toBe(0);
    // A second bundle takes the first one's place.
    smallBundle(at("small.tar"), { arch: ARCH });
    expect(runs(ARCH, one, "bundle", "attach", at("small.tar"), "--file", at("again")).status).toBe(0);
    expect(JSON.parse(runs(ARCH, at("again"), "bundle", "inspect", "-o", "json").stdout)).toMatchObject({
      images: 1,
      binaries: 2,
    });
    expect(runs(ARCH, one, "bundle", "detach", at("given-back.tar"), "--file", at("bare")).status).toBe(0);
    expect(sha256File(at("given-back.tar"))).toBe(sha256File(at(`${ARCH}.tar`)));
    expect(sha256File(at("bare"))).toBe(sha256File(executable(ARCH)));
  });

  test("is kept for services: the file itself where only root can change it, else a copy, never its bundle", () => {
    const [own, kept] = [at("own"), at("kept")];
    const seen = (mode: number) => {
      fs.chmodSync(own, mode);
      keepExecutable(own, kept);
      return [fs.statSync(kept).ino === fs.statSync(own).ino, sha256File(kept) === sha256File(executable(ARCH))];
    };
    fs.copyFileSync(executable(ARCH), own);
    const root = process.getuid!() === 0;
    expect([seen(0o755), seen(0o755)]).toEqual([
      [root, true],
      [root, true],
    ]);
    expect(seen(0o775)).toEqual([false, true]);
    fs.copyFileSync(at("attached"), own);
    expect(seen(0o755)).toEqual([false, true]);
  });

  test("another architecture's bundle and another program are refused, a cut one is found out", () => {
    const wrong = kubestick(
      "bundle",
      "attach",
      at(`${OTHER}.tar`),
      "--executable",
      executable(ARCH),
      "--file",
      at("wrong"),
    );
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining(`is for ${OTHER}`)]);
    const foreign = kubestick(
      "bundle",
      "attach",
      at(`${ARCH}.tar`),
      "--executable",
      "/bin/true",
      "--file",
      at("wrong"),
    );
    expect([foreign.status, foreign.stderr]).toEqual([
      1,
      expect.stringContaining("/bin/true is no kubestick executable"),
    ]);
    expect(fs.existsSync(at("wrong"))).toBe(false);
    const bytes = fs.readFileSync(at("attached"));
    fs.writeFileSync(at("shifted"), Buffer.concat([bytes.subarray(0, -100), bytes.subarray(-64)]));
    expect(kubestick("bundle", "inspect", at("shifted"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("its trailer does not fit"),
    });
  });
});

const noEmulator = ARCH !== "amd64" || !findProgram("qemu-aarch64-static") || !fs.existsSync("/usr/aarch64-linux-gnu");
describe.skipIf(noEmulator)("the arm64 executable, emulated", () => {
  test("runs version, bundle verify and a whole init --dry-run from its own bundle", () => {
    const board = at("board");
    expect(
      kubestick("bundle", "attach", at("arm64.tar"), "--executable", executable("arm64"), "--file", board).status,
    ).toBe(0);
    expect(runs("arm64", board, "version").stdout).toContain("v1.36.2");
    expect(runs("arm64", board, "bundle", "verify")).toMatchObject({ status: 0 });
    const root = at("arm-root");
    fs.mkdirSync(root);
    const out = runs(
      "arm64",
      board,
      "init",
      "--dry-run",
      "--rootfs",
      root,
      "--apiserver-advertise-address",
      "10.0.0.10",
      "--node-name",
      "board",
    );
    expectDone(out);
    expect(out.stdout).toContain(`Would import ${NAMES.length} images`);
    for (const file of ["pki/ca.crt", "admin.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml"])
      expect([file, fs.existsSync(join(root, "etc/kubernetes", file))]).toEqual([file, true]);
    run("openssl", [
      "verify",
      "-CAfile",
      join(root, "etc/kubernetes/pki/ca.crt"),
      join(root, "etc/kubernetes/pki/apiserver.crt"),
    ]);
  });
});

const noContainerd = process.getuid?.() !== 0 || !findProgram("containerd") || !findProgram("ctr");
describe.skipIf(noContainerd)("with a real containerd", () => {
  let daemon: TestContainerd;
  const socket = at("containerd/containerd.sock");
  const ctr = (...args: string[]) => daemon.ctr(...args);
  const digests = (namespace: string) =>
    ctr("-n", namespace, "images", "list")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) =>
        line
          .split(/\s+/)
          .slice(0, 3)
          .filter((_, i) => i !== 1)
          .join(" "),
      )
      // Beside each name there is one by its digest, and the CRI plugin keeps the image's ID.
      .filter((line) => !/^sha256:|^\S+@sha256:/.test(line))
      .sort();

  beforeAll(async () => {
    daemon = await TestContainerd.start(at("containerd"), { sandboxImage: PAUSE });
  });
  afterAll(() => daemon.stop());

  test("ctr imports a bundle unaided, and load gives the same images, pinned, and only once", () => {
    ctr("-n", "alone", "images", "import", at(`${ARCH}.tar`));
    const load = () =>
      kubestick("bundle", "load", at(`${ARCH}.tar`), "--images-only", "--cri-socket", `unix://${socket}`);
    expect(load()).toMatchObject({ status: 0, stdout: expect.stringContaining(`Imported ${NAMES.length} images`) });
    expect(digests("k8s.io")).toEqual(digests("alone"));
    expect(digests("alone")).toHaveLength(NAMES.length);
    expect(load()).toMatchObject({ status: 0, stdout: expect.stringContaining("Imported 0 images") });
    expect(ctr("-n", "k8s.io", "images", "list", "name~=pause")).toContain("io.cri-containerd.pinned=pinned");
  });

  test("a damaged bundle leaves containerd with nothing of it", async () => {
    const bytes = fs.readFileSync(at(`${ARCH}.tar`));
    bytes[bytes.length - 5000]! ^= 1;
    fs.writeFileSync(at("damaged.tar"), bytes);
    const names = ctr("-n", "k8s.io", "images", "list", "-q").trim().split("\n");
    const blobs = () => ctr("-n", "k8s.io", "content", "list", "-q").trim();
    ctr("-n", "k8s.io", "images", "rm", "--sync", ...names);
    expect(blobs()).toBe("");
    const out = kubestick("bundle", "load", at("damaged.tar"), "--images-only", "--cri-socket", socket);
    expect([out.status, out.stderr]).toEqual([1, expect.stringContaining("is damaged")]);
    expect(digests("k8s.io")).toEqual([]);
    await until(() => blobs() === "", 20_000, "containerd gives back what it had stored");
  });

  test("containerd pulls through a bundle that is served, by the mirror that kubestick wrote for it", async () => {
    const bundle = Bundle.open(at(`${ARCH}.tar`));
    const server = serve(bundle, {}, { hostname: "127.0.0.1", port: 0 });
    const cri = new Cri(`unix://${socket}`);
    try {
      fs.mkdirSync(at("containerd/certs.d/_default"), { recursive: true });
      fs.writeFileSync(
        at("containerd/certs.d/_default/hosts.toml"),
        mirrorConfig("_default", `http://127.0.0.1:${server.port}`),
      );
      expect(await cri.hasImage(PAUSE)).toBe(false);
      await cri.pullImage(PAUSE);
      expect(await cri.hasImage(PAUSE)).toBe(true);
      // containerd asks the registry itself when the mirror has not got it, and there is no network.
      expect(await cri.pullImage("registry.invalid/none:1").catch((e: Error) => e.message)).toContain("none:1");
    } finally {
      cri.close();
      await server.stop();
      bundle.close();
    }
  });

  test("a full disk stops create with its reason, and the same command finishes when there is room", () => {
    const disk = at("disk");
    fs.mkdirSync(disk);
    run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]);
    try {
      const create = () =>
        kubestick("bundle", "create", join(disk, "b.tar"), "--from", at(`images-${ARCH}.tar`), "--arch", ARCH);
      const out = create();
      expect([out.status, out.stderr]).toEqual([1, expect.stringMatching(/no space left[\s\S]*df -h/i)]);
      expect(fs.existsSync(join(disk, "b.tar"))).toBe(false);
      run("mount", ["-o", "remount,size=100m", disk]);
      expect(create().status).toBe(0);
      expect(sha256File(join(disk, "b.tar"))).toBe(sha256File(at(`${ARCH}.tar`)));
    } finally {
      run("umount", ["-l", disk]);
    }
  });
});
