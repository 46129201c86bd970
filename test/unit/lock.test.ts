import { expect, test } from "bun:test";
import { formatLock, parseLock } from "../../lib/bundle/lock.ts";

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
