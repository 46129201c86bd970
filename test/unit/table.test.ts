import { expect, test } from "bun:test";
import { formatBytes } from "../../lib/ui/table.ts";

test("bytes are told in units of a person", () => {
  expect([formatBytes(512), formatBytes(1536), formatBytes(5 * 1024 ** 3)]).toEqual(["512 B", "1.5 KiB", "5.0 GiB"]);
});
