import { expect, test } from "bun:test";
import { unsuitable } from "../../lib/binaries/on-host.ts";

test("containerd must speak CRI v1, and a program without a version is not trusted", () => {
  expect(unsuitable("containerd", "1.6.20~ds1", "v1.36.2")).toBeUndefined();
  expect(unsuitable("containerd", "v1.5.9", "v1.36.2")).toContain("v1.6.0 is needed");
  expect(unsuitable("runc", undefined, "v1.36.2")).toBe("it tells no version");
  expect(unsuitable("kubectl", "v1.37.0", "v1.36.2")).toBeUndefined();
});
