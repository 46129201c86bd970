import { describe, expect, test } from "bun:test";
import { type Found, planBinaries, unsuitable } from "../../lib/binaries/install.ts";
import { applyBundleDefaults } from "../../lib/bundle/defaults.ts";
import { formatLock, parseLock } from "../../lib/bundle/lock.ts";
import { findChecksum } from "../../lib/bundle/resolve.ts";
import { manifestImages } from "../../lib/bundle/user-manifests.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import { hasCapability } from "../../lib/host/facts.ts";
import { Files } from "../../lib/host/files.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { digestOf } from "../../lib/oci/descriptor.ts";
import type { LayoutBinary } from "../../lib/oci/layout.ts";
import { parseReference } from "../../lib/oci/reference.ts";
import { parseMirrors } from "../../lib/oci/registry.ts";
import { decodeTrailer, elfArchitecture, encodeTrailer, TRAILER_BYTES } from "../../lib/oci/trailer.ts";
import { containerdConfig, mirrorConfig } from "../../lib/runtime/containerd-config.ts";
import { formatBytes } from "../../lib/ui/table.ts";
import { inParallel } from "../../lib/util/pool.ts";
import { MINIMAL } from "../support/config.ts";

describe("trailer", () => {
  test("says what was put in, for any extent", () => {
    for (let i = 0; i < 200; i++) {
      const extent = { offset: Math.floor(Math.random() * 2 ** 40), length: Math.floor(Math.random() * 2 ** 40) };
      expect(decodeTrailer(encodeTrailer(extent), extent.offset + extent.length + TRAILER_BYTES)).toEqual(extent);
    }
  });
  test("is told from other bytes, and from one that does not fit its file", () => {
    expect(decodeTrailer(Buffer.alloc(TRAILER_BYTES), 1000)).toBeUndefined();
    expect(() => decodeTrailer(encodeTrailer({ offset: 100, length: 100 }), 300)).toThrow("does not fit");
  });
  test("an ELF header tells the architecture", () => {
    const head = Buffer.alloc(20);
    head.write("\x7fELF\x02\x01", "latin1");
    head.writeUInt16LE(183, 18);
    expect(elfArchitecture(head)).toBe("arm64");
    expect(elfArchitecture(Buffer.from("#!/bin/sh\necho hello world"))).toBeUndefined();
  });
});

test("image names are normalized as containerd does, and bad ones refused", () => {
  const names: [string, string][] = [
    ["busybox", "docker.io/library/busybox:latest"],
    ["team/app:v1", "docker.io/team/app:v1"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
    ["registry.k8s.io/coredns/coredns:v1.14.2", "registry.k8s.io/coredns/coredns:v1.14.2"],
    [`quay.io/a/b@sha256:${"a".repeat(64)}`, `quay.io/a/b@sha256:${"a".repeat(64)}`],
  ];
  for (const [text, name] of names) expect(parseReference(text).name).toBe(name);
  for (const bad of [
    "",
    "UPPER/CASE",
    "a b",
    "../../etc",
    "host.io/",
    "a@sha256:12",
    "x:y:z",
    "a/b:ta/g",
    "http://x/y",
  ])
    expect(() => parseReference(bad)).toThrow("is no image name");
});

test("mirrors", () => {
  expect(parseMirrors(["registry.k8s.io=https://m.example.org/", "http://127.0.0.1:5000"])).toEqual(
    new Map([
      ["registry.k8s.io", "https://m.example.org"],
      ["*", "http://127.0.0.1:5000"],
    ]),
  );
  expect(() => parseMirrors(["ftp://x"])).toThrow("--registry-mirror takes");
});

test("a checksum is taken only for its own file", () => {
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  expect(findChecksum(`${a}\n`, "kubelet")).toBe(a);
  expect(findChecksum(`${a}  runc.amd64\n${b}  runc.arm64\n`, "runc.arm64")).toBe(b);
  expect(findChecksum(`${a}  runc.amd64\n`, "runc.arm64")).toBeUndefined();
  expect(findChecksum("<html>not found</html>", "kubelet")).toBeUndefined();
});

test("a lock is written the same each time, and read strictly with line and path", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const image = (name: string) => ({
    name,
    manifests: { amd64: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 7 } },
  });
  const lock = { kubernetesVersion: "v1.36.2", images: [image("b.io/b:1"), image("a.io/a:1")], binaries: [] };
  const text = formatLock(lock);
  expect(formatLock(parseLock(text, "l"))).toBe(text);
  expect(text.indexOf("a.io")).toBeLessThan(text.indexOf("b.io"));
  const bad: [string, string, RegExp][] = [
    ["size: 7", "size: seven", /l:\d+: BundleLock\.images\[0\]\.manifests\.amd64\.size/],
    ["amd64:", "mips:", /must be one of amd64, arm64/],
    ["b.io/b:1", "a.io/a:1", /is given twice/],
    ["a.io/a:1", "a", /must be written in full: docker\.io\/library\/a:latest/],
    ["kind: BundleLock", "kind: Lock", /kind: BundleLock/],
    [digest, "sha256:12", /must be sha256: and 64 hexadecimal digits/],
  ];
  for (const [from, to, message] of bad) expect(() => parseLock(text.replace(from, to), "l")).toThrow(message);
});

describe("which host binaries are installed", () => {
  const binary = (name: string, version: string): LayoutBinary => ({
    name,
    version,
    arch: "amd64",
    title: name,
    archive: hostBinaryKind(name)!.archive,
    blob: { mediaType: "", digest: digestOf(name + version), size: 1 },
  });
  const bundle = { binaries: [binary("containerd", "v2.1.9"), binary("kubelet", "v1.36.2")] };
  const plan = (found: Record<string, Found>, force = false, files = new Files("/nowhere-kubestick")) =>
    Object.fromEntries(
      planBinaries(bundle, {
        arch: "amd64",
        kubernetesVersion: "v1.36.2",
        force,
        files,
        look: (kind) => found[kind.name],
      }).map((d) => [d.kind.name, d.action]),
    );

  test("what is missing is, what will do is kept, what will not do is refused unless forced", () => {
    expect(plan({})).toEqual({ containerd: "install", kubelet: "install" });
    const kubelet = (version: string) => ({ kubelet: { path: "/usr/bin/kubelet", version } });
    expect(plan(kubelet("v1.36.1"))["kubelet"]).toBe("keep");
    expect(plan(kubelet("v1.33.0"))["kubelet"]).toBe("keep");
    expect(plan(kubelet("v1.37.0"))["kubelet"]).toBe("refuse");
    expect(plan(kubelet("v1.20.0"))["kubelet"]).toBe("refuse");
    expect(plan(kubelet("v1.37.0"), true)["kubelet"]).toBe("install");
  });

  test("kubestick's own is replaced by another, not by an older one", () => {
    const files = new Files("/", { overlay: true });
    const own = (version: string) =>
      new Ledger(files).noteBinary("kubelet", { version, digest: digestOf(version), files: ["/bin/sh"] });
    const found = { kubelet: { path: "/bin/sh", version: "v0.0.0" } };
    own("v1.35.0");
    expect(plan(found, false, files)["kubelet"]).toBe("install");
    own("v1.36.9");
    expect(plan(found, false, files)["kubelet"]).toBe("keep");
  });

  test("containerd must speak CRI v1, and a program without a version is not trusted", () => {
    expect(unsuitable("containerd", "1.6.20~ds1", "v1.36.2")).toBeUndefined();
    expect(unsuitable("containerd", "v1.5.9", "v1.36.2")).toContain("v1.6.0 is needed");
    expect(unsuitable("runc", undefined, "v1.36.2")).toBe("it tells no version");
    expect(unsuitable("kubectl", "v1.37.0", "v1.36.2")).toBeUndefined();
  });
});

test("a bundle fills in what the configuration leaves open, and nothing else", () => {
  const image = (name: string) => ({ name, arch: "amd64" });
  const bundle = {
    kubernetesVersion: "v1.35.4",
    images: ["etcd:3.6.6-0", "coredns/coredns:v1.13.1", "kube-apiserver:v1.35.4"].map((n) =>
      image(`registry.k8s.io/${n}`),
    ),
  } as unknown as Parameters<typeof applyBundleDefaults>[1];
  const open = parseConfig(MINIMAL, "f");
  applyBundleDefaults(open, bundle, "amd64");
  expect(open.cluster).toMatchObject({
    kubernetesVersion: "v1.35.4",
    etcd: { local: { imageTag: "3.6.6-0" } },
    dns: { imageTag: "v1.13.1" },
  });
  expect(open.init?.nodeRegistration?.imagePullPolicy).toBe("Never");
  const decided = parseConfig(`${MINIMAL}kubernetesVersion: v1.36.0\nimageRepository: own.example.org\n`, "f");
  applyBundleDefaults(decided, bundle, "amd64");
  expect(decided.cluster).toMatchObject({ kubernetesVersion: "v1.36.0" });
  expect(decided.cluster?.etcd).toBeUndefined();
});

test("containerd's configuration has the layout of its version", () => {
  const settings = {
    sandboxImage: 'registry.k8s.io/pause:3.10.2"',
    systemdCgroup: true,
    restrictOomScoreAdj: true,
    cniBinDir: "/opt/cni/bin",
    certsDir: "/etc/containerd/certs.d",
  };
  const v1 = Bun.TOML.parse(containerdConfig({ major: 1, ...settings })) as {
    version: number;
    plugins: Record<string, Record<string, unknown>>;
  };
  expect([v1.version, v1.plugins["io.containerd.grpc.v1.cri"]!["sandbox_image"]]).toEqual([2, settings.sandboxImage]);
  expect(v1.plugins["io.containerd.grpc.v1.cri"]!["restrict_oom_score_adj"]).toBe(true);
  const v2 = Bun.TOML.parse(containerdConfig({ major: 2, ...settings })) as typeof v1;
  expect([v2.version, v2.plugins["io.containerd.cri.v1.images"]!["pinned_images"]]).toEqual([
    3,
    { sandbox: settings.sandboxImage },
  ]);
  expect(containerdConfig({ major: 2, ...settings, restrictOomScoreAdj: false })).not.toContain("restrict_oom");
  expect(mirrorConfig("registry.k8s.io", "http://10.0.0.1:5080")).toContain('server = "https://registry.k8s.io"');
});

test("manifests name their images, each once", () => {
  const pod = "kind: Pod\nspec: {initContainers: [{image: a}], containers: [{image: 'b.io/c:1'}, {image: a}]}\n---\n";
  expect(manifestImages(pod, "f")).toEqual(["b.io/c:1", "docker.io/library/a:latest"]);
  expect(() => manifestImages("- 1\n", "f")).toThrow("no Kubernetes object");
  expect(() => manifestImages("a: [", "f")).toThrow("is no YAML");
});

test("a pool does all jobs, and stops at the first failure", async () => {
  const done: number[] = [];
  await inParallel([1, 2, 3, 4, 5], 2, async (n) => void done.push(n));
  expect(done.sort()).toEqual([1, 2, 3, 4, 5]);
  const begun: number[] = [];
  const failing = inParallel([1, 2, 3, 4, 5, 6], 2, async (n) => {
    begun.push(n);
    await Bun.sleep(1);
    if (n === 2) throw new Error("two");
  });
  await expect(failing).rejects.toThrow("two");
  expect(begun.length).toBeLessThan(6);
});

test("capabilities out of /proc, and bytes for a person", () => {
  expect(hasCapability("CapEff:\t000001ffffffffff\n", 24n)).toBe(true);
  expect(hasCapability("CapEff:\t00000000a80425fb\n", 24n)).toBe(false);
  expect(hasCapability("", 24n)).toBe(false);
  expect([formatBytes(512), formatBytes(1536), formatBytes(5 * 1024 ** 3)]).toEqual(["512 B", "1.5 KiB", "5.0 GiB"]);
});
