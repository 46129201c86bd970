import { expect, test } from "bun:test";
import { UsageError } from "../../lib/errors.ts";
import { checkArchitectures, choosePlatforms } from "../../lib/oci/platform.ts";
import { forPlatform } from "../support/layouts.ts";

test("of an index the images for Linux are chosen, for each architecture the one that all of its boards run", () => {
  const child = (content: string, arch: string, variant?: string, os?: string) =>
    forPlatform({ mediaType: "m", digest: content, size: 1 }, arch, variant, os);
  const { chosen, others } = choosePlatforms([
    child("v3", "amd64", "v3"),
    child("plain", "amd64"),
    child("v2", "amd64", "v2"),
    child("windows", "arm64", undefined, "windows"),
    child("v9", "arm64", "v9"),
    child("v8", "arm64", "v8"),
    child("v7", "arm", "v7"),
    child("attestation", "unknown", undefined, "unknown"),
    { mediaType: "m", digest: "none", size: 1 },
  ]);
  expect(Object.fromEntries([...chosen].map(([arch, { digest }]) => [arch, digest]))).toEqual({
    amd64: "plain",
    arm64: "v8",
  });
  expect(others.map(({ digest }) => digest)).toEqual(["windows", "v7", "attestation", "none"]);
});

test("architectures are those that kubestick knows, each once, sorted", () => {
  expect(checkArchitectures(["arm64", "amd64", "arm64"])).toEqual(["amd64", "arm64"]);
  expect(() => checkArchitectures(["amd64", "constructor"])).toThrow(UsageError);
  expect(() => checkArchitectures(["riscv64"])).toThrow('--arch takes amd64 and arm64, not "riscv64"');
});
