import { describe, expect, test } from "bun:test";
import { digestOf, readDescriptor } from "../../lib/oci/descriptor.ts";
import { LIMITS } from "../../lib/oci/limits.ts";
import { architectureOf, readIndex, readManifest } from "../../lib/oci/manifest.ts";

const blob = (mediaType = "m") => ({ mediaType, digest: digestOf(mediaType), size: 1 });

describe("a descriptor", () => {
  test("keeps what is known of it, and nothing else", () => {
    const platform = { architecture: "arm64", os: "linux", variant: "v8", features: ["x"] };
    const annotations = { "a.b": "c" };
    expect(readDescriptor({ ...blob(), platform, annotations, artifactType: "t", urls: ["x"] }, "it")).toEqual({
      ...blob(),
      annotations,
      artifactType: "t",
      platform: { architecture: "arm64", os: "linux", variant: "v8" },
    });
    expect(readDescriptor({ ...blob(), platform: { os: "linux" }, artifactType: 1 }, "it")).toEqual(blob());
  });

  test.each<[string, object | null | undefined]>([
    ["it has a bad mediaType", undefined],
    ["it has a bad mediaType", null],
    ["it has a bad mediaType", { ...blob(), mediaType: 1 }],
    ["it has a bad digest", { ...blob(), digest: `sha512:${"a".repeat(128)}` }],
    ["it has a bad digest", { ...blob(), digest: `sha256:${"A".repeat(64)}` }],
    ["it has a bad digest", { ...blob(), digest: `${digestOf("")}/../x` }],
    ["it has a bad size", { ...blob(), size: -1 }],
    ["it has a bad size", { ...blob(), size: 1.5 }],
    ["it has a bad size", { ...blob(), size: 2 ** 53 }],
    ["it has a bad size", { ...blob(), size: "1" }],
    ["it's annotations are not texts", { ...blob(), annotations: { a: 1 } }],
    ["it's annotations are not texts", { ...blob(), annotations: ["a"] }],
  ])("is refused: %s", (message, value) => {
    expect(() => readDescriptor(value, "it")).toThrow(message);
  });
});

test("a manifest has a config and layers", () => {
  const manifest = { config: blob("c"), layers: [blob("l")], artifactType: "t" };
  expect(readManifest(manifest, "it")).toEqual(manifest);
  expect(readManifest({ config: blob("c") }, "it")).toEqual({ artifactType: undefined, config: blob("c"), layers: [] });
  const layers = Array(LIMITS.layers + 1).fill(blob());
  for (const [wrong, message] of [
    [{ layers: [] }, "it: its config has a bad mediaType"],
    [{ config: blob(), layers: [{}] }, "it: its layer 0 has a bad mediaType"],
    [{ config: blob(), layers: {} }, "it: its layers is not a list of objects"],
    [{ config: blob(), layers }, `it has more than ${LIMITS.layers} layers`],
    [{ ...manifest, manifests: [] }, "it: its manifest is an index at the same time"],
  ] as const)
    expect(() => readManifest(wrong, "it")).toThrow(message);
});

test("an index has manifests", () => {
  expect(readIndex({ manifests: [blob("a"), blob("b")] }, "it")).toEqual([blob("a"), blob("b")]);
  for (const [wrong, message] of [
    [{ manifests: [{}] }, "it: its manifest 0 has a bad mediaType"],
    [{ manifests: Array(LIMITS.images + 1).fill(blob()) }, `its index lists more than ${LIMITS.images} manifests`],
    [{ manifests: [], config: blob() }, "it: its index is a manifest at the same time"],
    [{ manifests: [], layers: [] }, "it: its index is a manifest at the same time"],
  ] as const)
    expect(() => readIndex(wrong, "it")).toThrow(message);
});

test("an image's architecture is one of Linux", () => {
  expect(architectureOf({ architecture: "arm64", os: "linux" })).toBe("arm64");
  expect(architectureOf({ architecture: "amd64" })).toBe("amd64");
  for (const other of [
    {},
    { architecture: "unknown", os: "linux" },
    { architecture: "amd64", os: "windows" },
    { architecture: "../x" },
    { architecture: 1 },
  ])
    expect(architectureOf(other)).toBeUndefined();
});
