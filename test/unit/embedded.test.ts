import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EMBEDDED_LOCKS, embeddedLock, requireEmbeddedLock } from "../../lib/bundle/embedded.ts";
import { type BundleLock, formatLock, lacking, parseLock } from "../../lib/bundle/lock.ts";
import { upstreamOf } from "../../lib/bundle/upstream.ts";
import { HOST_BINARY_KINDS, hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import { COMPANIONS } from "../../lib/constants/upstream.ts";
import { KUBERNETES_VERSION } from "../../lib/constants/versions.ts";
import { pauseImage, requiredImages } from "../../lib/manifests/images.ts";
import { configFrom, MINIMAL } from "../support/config.ts";
import { ROOT } from "../support/executable.ts";

const ARCHS = ["amd64", "arm64"];
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const locks = Object.entries(EMBEDDED_LOCKS).map(([file, text]): [string, BundleLock] => [file, parseLock(text, file)]);

describe.each(locks)("%s", (file, lock) => {
  const minor = /v(\d+\.\d+)/.exec(file)![1]!;
  const upstream = upstreamOf(lock.kubernetesVersion);

  test("pins exactly what kubestick deploys of that version", () => {
    expect(lock.kubernetesVersion).toStartWith(`v${minor}.`);
    expect(lock.images.map(({ name }) => name)).toEqual([...upstream.images].sort());
    expect(Object.fromEntries(lock.binaries.map(({ name, version }) => [name, version]))).toEqual(upstream.binaries);
    const { cluster } = configFrom(`${MINIMAL}kubernetesVersion: ${lock.kubernetesVersion}\n`);
    expect([...requiredImages(cluster), pauseImage(cluster)].sort()).toEqual([...upstream.images].sort());
  });

  test("every digest is one, of one thing, at upstream's address", () => {
    const images = lock.images.flatMap(({ index = "", manifests }) => [
      index,
      ...Object.values(manifests).map(({ digest }) => digest),
    ]);
    const files = lock.binaries.flatMap(({ name, version, files }) =>
      Object.entries(files).map(([arch, { url, sha256 }]) => {
        const fill = hostBinaryKind(name)!.url.replaceAll("{version}", version).replaceAll("{arch}", arch);
        expect(url).toBe(fill.replaceAll("{number}", version.slice(1)));
        return `sha256:${sha256}`;
      }),
    );
    for (const digest of [...images, ...files]) expect(digest).toMatch(DIGEST);
    expect(new Set([...images, ...files]).size).toBe(images.length + files.length);
  });

  test("its text is as bundle lock writes it", () => {
    const withoutHead = (text: string) => text.replace(/^(#.*\n)+/, "");
    expect(withoutHead(formatLock(lock))).toBe(withoutHead(EMBEDDED_LOCKS[file]!));
  });
});

test("the locks in bundles/ are those of the executable, one for each version that has companions", () => {
  const names = readdirSync(join(ROOT, "bundles")).filter((name) => name.endsWith(".lock.yaml"));
  expect(Object.keys(EMBEDDED_LOCKS).sort()).toEqual(names.sort());
  for (const name of names) expect(EMBEDDED_LOCKS[name]).toBe(readFileSync(join(ROOT, "bundles", name), "utf8"));
  expect(Object.keys(COMPANIONS).map((minor) => `kubernetes-v${minor}.lock.yaml`)).toEqual(Object.keys(EMBEDDED_LOCKS));
});

test("v1.34 to v1.36 lack nothing, v1.37 what nobody has published a digest of", () => {
  const holes = (version: string) => lacking(requireEmbeddedLock(version), ARCHS);
  for (const version of ["v1.34", "v1.35", "v1.36"]) expect(holes(version)).toEqual([]);
  expect(holes("v1.37")).toEqual([
    { what: "kubectl v1.37.1", archs: ARCHS },
    { what: "kubelet v1.37.1", archs: ARCHS },
  ]);
});

test("a lock is found by its version or minor version, and what there is is told", () => {
  expect(requireEmbeddedLock(KUBERNETES_VERSION).kubernetesVersion).toBe(KUBERNETES_VERSION);
  expect(requireEmbeddedLock("v1.35").kubernetesVersion).toBe("v1.35.6");
  expect(embeddedLock("v1.36.1")).toBeUndefined();
  const all = "v1.37.1, v1.36.2, v1.35.6, v1.34.10";
  expect(() => requireEmbeddedLock("v1.3")).toThrow(`this kubestick pins no Kubernetes v1.3, only ${all}`);
  expect(() => requireEmbeddedLock("v1.36.1")).toThrow(`this kubestick pins no Kubernetes v1.36.1, only ${all}`);
});

test("every host binary has a version for each minor version", () => {
  for (const minor of Object.keys(COMPANIONS))
    expect(Object.keys(upstreamOf(`v${minor}.0`).binaries).sort()).toEqual(HOST_BINARY_KINDS.map((k) => k.name).sort());
  expect(() => upstreamOf("v1.20.0")).toThrow("knows no lock");
});

test("an image is whole with an index, or with each architecture's manifest; a binary with each file", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const manifests = { amd64: { digest } };
  const binary = {
    name: "kubelet",
    version: "v1.36.2",
    files: { amd64: { url: "https://a", sha256: "a".repeat(64) } },
  };
  const lock = (images: BundleLock["images"]) => ({ kubernetesVersion: "v1.36.2", images, binaries: [binary] });
  expect(lacking(lock([{ name: "a.io/a:1", manifests }]), ["amd64"])).toEqual([]);
  expect(lacking(lock([{ name: "a.io/a:1", index: digest, manifests: {} }]), ARCHS)).toEqual([
    { what: "kubelet v1.36.2", archs: ["arm64"] },
  ]);
  expect(lacking(lock([{ name: "a.io/a:1", manifests }]), ARCHS).map(({ what }) => what)).toEqual([
    "a.io/a:1",
    "kubelet v1.36.2",
  ]);
});
