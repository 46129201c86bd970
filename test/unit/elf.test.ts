import { expect, test } from "bun:test";
import { elfArchitecture } from "../../lib/bundle/elf.ts";

test("an ELF header tells the architecture", () => {
  const head = Buffer.alloc(20);
  head.write("\x7fELF\x02\x01", "latin1");
  head.writeUInt16LE(183, 18);
  expect(elfArchitecture(head)).toBe("arm64");
  expect(elfArchitecture(Buffer.from("#!/bin/sh\necho hello world"))).toBeUndefined();
});
