import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { KubestickError } from "../../lib/errors.ts";
import { run } from "../../lib/host/process.ts";
import { CHUNK_BYTES, Region, sha256OfFile } from "../../lib/host/region.ts";

const work = fs.mkdtempSync("/tmp/kubestick-region-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
fs.writeFileSync(at("digits"), "0123456789");

test("a part is read by position, and never past its end", () => {
  using file = Region.open(at("digits"));
  const part = file.part(2, 5);
  expect([part.offset, part.length, part.path]).toEqual([2, 5, at("digits")]);
  expect(part.read(0, 100).toString()).toBe("23456");
  expect(part.read(4, 3).toString()).toBe("6");
  expect(part.read(9, 3).toString()).toBe("");
  expect(part.part(1, 2).read(0, 9).toString()).toBe("34");
  expect([file.part(8, 5).length, file.part(20, 5).length]).toEqual([2, 0]);
  expect(Buffer.concat([...part.chunks(3)]).toString()).toBe("56");
});

test("a file of several chunks comes whole, and hashes as sha256sum does", () => {
  const data = Buffer.alloc(2 * CHUNK_BYTES + 17, "abc");
  fs.writeFileSync(at("large"), data);
  using file = Region.open(at("large"));
  expect(Buffer.concat(Array.from(file.chunks(), (chunk) => Buffer.from(chunk))).equals(data)).toBe(true);
  expect(file.sha256()).toBe(run("sha256sum", [at("large")]).split(" ")[0]!);
  expect(sha256OfFile(at("digits"), 0)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(() => sha256OfFile(at("digits"), 11)).toThrow(`${at("digits")} ends too early`);
});

test("a file that is cut while it is read is an error, and no less data", () => {
  fs.writeFileSync(at("cut"), Buffer.alloc(2 * CHUNK_BYTES));
  using file = Region.open(at("cut"));
  const chunks = file.chunks();
  chunks.next();
  fs.truncateSync(at("cut"), 100);
  expect(() => chunks.next()).toThrow("ends too early");
});

test("what is no plain file is refused, and not waited for", () => {
  run("mkfifo", [at("fifo")]);
  for (const name of ["fifo", "."]) expect(() => Region.open(at(name))).toThrow(`${at(name)} is not a file`);
  expect(() => Region.open(at("nothing"))).toThrow(KubestickError);
  expect(() => Region.open(at("nothing"))).toThrow("ENOENT");
});
