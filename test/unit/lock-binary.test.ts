import { expect, test } from "bun:test";
import { findChecksum } from "../../lib/bundle/lock-binary.ts";

test("a checksum is taken only for its own file", () => {
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  expect(findChecksum(`${a}\n`, "kubelet")).toBe(a);
  expect(findChecksum(`${a}  runc.amd64\n${b}  runc.arm64\n`, "runc.arm64")).toBe(b);
  expect(findChecksum(`${a}  runc.amd64\n`, "runc.arm64")).toBeUndefined();
  expect(findChecksum("<html>not found</html>", "kubelet")).toBeUndefined();
});
