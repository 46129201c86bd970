import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { type BundleLock, formatLock, parseLock } from "../../lib/bundle/lock.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run } from "../../lib/host/process.ts";
import { sha256File } from "../support/registry.ts";
import { kubestick, kubestickIn, standInUpstream } from "../support/upstream.ts";

const missing = ["docker-registry", "skopeo"].filter((name) => !findProgram(name));
const work = fs.mkdtempSync("/tmp/kubestick-locks-");
const at = (name: string) => join(work, name);
const ARCHS = ["amd64", "arm64"];
const PAUSE = "registry.k8s.io/pause:3.10.2";

describe.skipIf(missing.length > 0)("locks that pin less than everything", () => {
  let upstream: Awaited<ReturnType<typeof standInUpstream>>;
  let whole: BundleLock;
  const full = at("full.lock.yaml");
  const bundle = async (target: string, lock: BundleLock, ...flags: string[]) => {
    fs.writeFileSync(at(`${target}.lock`), formatLock(lock));
    const args = ["bundle", "create", at(target), "--lock", at(`${target}.lock`), "--arch", ARCHS.join(",")];
    return kubestick(...args, ...upstream.flags, ...flags);
  };
  const change = (edit: (image: BundleLock["images"][number]) => BundleLock["images"][number]): BundleLock => ({
    ...whole,
    images: whole.images.map(edit),
  });
  const pausedAt = (lock: BundleLock) => lock.images.find(({ name }) => name === PAUSE)!;

  beforeAll(async () => {
    upstream = await standInUpstream(work);
    const args = ["--kubernetes-version=v1.36.2", `--arch=${ARCHS.join(",")}`, "--lock", full, "--fresh"];
    const { status, stdout, stderr } = await kubestick("bundle", "lock", ...args, ...upstream.flags);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toEndWith(`Next: kubestick bundle create bundle.tar --lock ${full}\n`);
    whole = parseLock(fs.readFileSync(full, "utf8"), full);
    expect((await bundle("whole.tar", whole)).status).toBe(0);
  });
  afterAll(() => {
    upstream?.stop();
    fs.rmSync(work, { recursive: true, force: true });
  });

  test("bundle lock writes the index and each manifest, and upstream's own addresses", () => {
    for (const { name, index, manifests } of whole.images) {
      const path = name.replace("registry.k8s.io/", "");
      const raw = run("skopeo", [
        "inspect",
        "--raw",
        "--tls-verify=false",
        `docker://127.0.0.1:${upstream.registry.port}/${path}`,
      ]);
      expect(index).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(raw).digest("hex")}`);
      for (const arch of ARCHS) expect(raw).toContain(manifests[arch]!.digest);
    }
    const urls = whole.binaries.flatMap(({ files }) => Object.values(files).map(({ url }) => new URL(url).host));
    expect([...new Set(urls)].sort()).toEqual(["dl.k8s.io", "github.com"]);
  });

  test("an index alone, or digests alone, give the same bundle", async () => {
    const indexes = change(({ name, index = "" }) => ({ name, index, manifests: {} }));
    const digests = change(({ name, manifests }) => ({
      name,
      manifests: Object.fromEntries(Object.entries(manifests).map(([arch, { digest }]) => [arch, { digest }])),
    }));
    for (const [file, lock] of [
      ["indexes.tar", indexes],
      ["digests.tar", digests],
    ] as const) {
      const { status, stderr } = await bundle(file, lock);
      expect([status, stderr]).toEqual([0, ""]);
      expect(sha256File(at(file))).toBe(sha256File(at("whole.tar")));
    }
    // Without a network, what is local is found by the digest; a bundle of kubestick's does not hold upstream's index.
    const { status } = await bundle("offline.tar", digests, "--offline", "--from", at("whole.tar"));
    expect(status).toBe(0);
    expect(sha256File(at("offline.tar"))).toBe(sha256File(at("whole.tar")));
    const lost = await bundle("lost.tar", indexes, "--offline", "--from", at("amd64.tar"));
    expect(lost.stderr).toContain("error: no --from source contains registry.k8s.io/coredns/coredns:v1.14.2");
  });

  test("bundle lock completes what is pinned, and refuses an index that names other manifests", async () => {
    const indexes = change(({ name, index = "" }) => ({ name, index, manifests: {} }));
    const partly = at("partly.lock.yaml");
    fs.writeFileSync(partly, formatLock(indexes));
    const args = ["bundle", "lock", "--kubernetes-version=v1.36.2", "--arch=amd64,arm64", "--lock", partly];
    expect((await kubestick(...args, ...upstream.flags)).status).toBe(0);
    expect(fs.readFileSync(partly, "utf8")).toBe(fs.readFileSync(full, "utf8"));
    const other = pausedAt(whole).manifests["arm64"]!.digest;
    const wrong = change((i) => (i.name === PAUSE ? { ...i, manifests: { amd64: { digest: other } } } : i));
    fs.writeFileSync(partly, formatLock(wrong));
    const refused = await kubestick(...args, ...upstream.flags);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`error: the pinned index of ${PAUSE} names another manifest for amd64 than is pinned`),
    ]);
    expect(parseLock(fs.readFileSync(partly, "utf8"), "l")).toEqual(parseLock(formatLock(wrong), "l"));
  });

  test("a manifest of another architecture, and an index in a manifest's place, are found before a bundle is written", async () => {
    const { index = "", manifests } = pausedAt(whole);
    const swapped = { amd64: manifests["arm64"]!, arm64: manifests["amd64"]! };
    const wrong = await bundle(
      "wrong.tar",
      change((i) => (i.name === PAUSE ? { name: PAUSE, manifests: swapped } : i)),
    );
    expect(wrong.stderr).toContain(`error: what the lock pins of ${PAUSE} for amd64 is for "arm64"`);
    const misplaced = change((i) =>
      i.name === PAUSE ? { name: PAUSE, manifests: { ...manifests, amd64: { digest: index } } } : i,
    );
    const refused = await bundle("wrong.tar", misplaced);
    expect(refused.stderr).toMatch(/error: what the lock pins of .*pause.* for amd64 is of the media type .*index/);
    expect([wrong.status, refused.status, fs.existsSync(at("wrong.tar"))]).toEqual([1, 1, false]);
  });

  test("everything that is missing is said at once, and nothing is left behind", async () => {
    const holes = {
      ...change((i) => (i.name === PAUSE ? { name: PAUSE, manifests: { amd64: i.manifests["amd64"]! } } : i)),
      binaries: whole.binaries.map((b) => (b.name.startsWith("kube") ? { ...b, files: {} } : b)),
    };
    const { status, stderr } = await bundle("holes.tar", holes);
    expect([status, stderr]).toEqual([
      1,
      `error: the lock for Kubernetes v1.36.2 has no digest of kubectl v1.36.2 and kubelet v1.36.2 for amd64, ${PAUSE} and kubectl v1.36.2 and kubelet v1.36.2 for arm64
what to do: where there is a network, look it up once and name the file with --lock: kubestick bundle lock --kubernetes-version v1.36.2 --arch amd64,arm64 --lock FILE
`,
    ]);
    expect(fs.readdirSync(work).filter((name) => name.includes("holes.tar"))).toEqual(["holes.tar.lock"]);
  });

  test("without --lock the executable's own pins count, wherever it is run", async () => {
    const empty = at("empty");
    fs.mkdirSync(empty);
    // These digests are the real ones, which the registry that stands in for upstream does not have.
    const own = await kubestickIn(empty, "bundle", "create", "out.tar", ...upstream.flags);
    expect(own.stdout).toContain("Kubernetes v1.36.2 for ");
    expect(own.stdout).toContain("7 images and 6 host binaries, as pinned by this kubestick");
    expect(own.stderr).toMatch(/coredns\/manifests\/sha256:e7e6440c\S+ answered with status 404/);
    const hole = await kubestickIn(empty, "bundle", "create", "out.tar", "--kubernetes-version=1.37", "--arch=arm64");
    expect(hole.stderr).toContain(
      "error: the lock for Kubernetes v1.37.1 has no digest of kubectl v1.37.1 and kubelet v1.37.1 for arm64",
    );
    const none = await kubestickIn(empty, "bundle", "create", "out.tar", "--kubernetes-version=v1.36.9");
    expect([none.status, none.stderr]).toEqual([
      2,
      expect.stringContaining("pins no Kubernetes v1.36.9, only v1.37.1,"),
    ]);
    const other = await kubestickIn(empty, "bundle", "create", "out.tar", "--kubernetes-version=1.35", "--lock", full);
    expect(other.stderr).toContain(`error: ${full} pins Kubernetes v1.36.2, not v1.35`);
    expect(fs.readdirSync(empty)).toEqual([]);
  });

  test("bundle create says what it makes, how much there is to get, and what to type next", async () => {
    const args = ["bundle", "create", at("told.tar"), "--lock", full, "--kubernetes-version", "1.36", "--arch"];
    const { stdout } = await kubestick(...args, "amd64", ...upstream.flags);
    const lines = stdout.trim().split("\n");
    expect(lines[0]).toBe(`[create] Kubernetes v1.36.2 for amd64: 7 images and 6 host binaries, as pinned by ${full}`);
    expect(lines[1]).toMatch(/^\[create\] To get: \d+ files, \d+\.\d MiB$/);
    expect(lines.at(-2)).toMatch(/^\[create\] Wrote \S+told\.tar: 7 images, 6 host binaries, \d+\.\d MiB$/);
    const next = { amd64: `sudo kubestick init --bundle ${at("told.tar")}`, arm64: "kubestick bundle attach" };
    expect(lines.at(-1)).toStartWith(`Next: ${process.arch === "arm64" ? next.arm64 : next.amd64}`);
  });
});
