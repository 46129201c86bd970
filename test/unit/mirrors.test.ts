import { expect, test } from "bun:test";
import { parseMirrors } from "../../lib/oci/mirrors.ts";

test("mirrors", () => {
  expect(parseMirrors(["registry.k8s.io=https://m.example.org/", "http://127.0.0.1:5000"])).toEqual(
    new Map([
      ["registry.k8s.io", "https://m.example.org"],
      ["*", "http://127.0.0.1:5000"],
    ]),
  );
  expect(() => parseMirrors(["ftp://x"])).toThrow("--registry-mirror takes");
});
