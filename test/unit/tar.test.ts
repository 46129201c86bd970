import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { Region } from "../../lib/host/region.ts";
import { indexTar } from "../../lib/oci/tar-index.ts";
import { TarStream } from "../../lib/oci/tar-stream.ts";
import { oddMembers, paxHeader, rawHeader, rawMember } from "../support/hostile-tar.ts";
import { Random } from "../support/random.ts";

const work = fs.mkdtempSync("/tmp/kubestick-tar-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
const END = Buffer.alloc(1024);

/** A tar's members with their contents, read by position. */
function indexed(tar: Buffer): [string, string][] {
  fs.writeFileSync(at("x.tar"), tar);
  const region = Region.open(at("x.tar"));
  try {
    return indexTar(region).map(({ name, offset, size }) => [name, region.read(offset, size).toString("latin1")]);
  } finally {
    region.close();
  }
}

/** The same, as the tar streams by in pieces. */
function streamed(tar: Buffer, piece: number): [string, string][] {
  const found: [string, string][] = [];
  const stream = new TarStream(at("x.tar"), ({ name }) => {
    const entry: [string, string] = [name, ""];
    found.push(entry);
    return {
      data: (bytes) => {
        entry[1] += bytes.toString("latin1");
      },
      end: () => undefined,
    };
  });
  for (let i = 0; i < tar.length; i += piece) stream.write(tar.subarray(i, i + piece));
  stream.finish();
  return found;
}

const outcome = (read: () => [string, string][]) => {
  try {
    return read();
  } catch (error) {
    return (error as Error).message.replace(
      /(".*"|an extended header) is longer than the file|it ends without an end mark/s,
      "cut",
    );
  }
};

test("what GNU tar writes, with long names and in pax format too, is read as it was written", () => {
  const long = `${"d".repeat(90)}/${"f".repeat(150)}`;
  fs.mkdirSync(at(`in/${"d".repeat(90)}`), { recursive: true });
  const files: Record<string, string> = { short: "hello", [long]: "x".repeat(2_000), empty: "" };
  for (const [name, data] of Object.entries(files)) fs.writeFileSync(at(`in/${name}`), data);
  for (const format of ["ustar", "gnu", "pax"]) {
    const names = Object.keys(files).filter((name) => format !== "ustar" || name.length < 100);
    run("tar", ["-C", at("in"), `--format=${format}`, "-cf", at(`${format}.tar`), ...names]);
    const expected = names.map((name) => [name, files[name]!] as [string, string]);
    const tar = fs.readFileSync(at(`${format}.tar`));
    expect([format, indexed(tar)]).toEqual([format, expected]);
    for (const piece of [1, 511, 512, 513, 100_000]) expect([format, streamed(tar, piece)]).toEqual([format, expected]);
  }
});

describe("numbers and names of a header", () => {
  const cases: [string, Buffer, RegExp | [string, string][]][] = [
    [
      "a length of pax counts",
      Buffer.concat([
        paxHeader({ size: "3" }),
        rawHeader({ name: "a", size: 0 }),
        Buffer.from("xyz"),
        Buffer.alloc(509),
      ]),
      [["a", "xyz"]],
    ],
    ["a name of pax counts", Buffer.concat([paxHeader({ path: "b" }), rawMember({ name: "a" }, "x")]), [["b", "x"]]],
    [
      "for one member alone",
      Buffer.concat([paxHeader({ path: "b" }), rawMember({ name: "a" }), rawMember({ name: "c" })]),
      [
        ["b", ""],
        ["c", ""],
      ],
    ],
    [
      "a link has no body, whatever its length",
      Buffer.concat([rawHeader({ name: "l", type: "2", size: 5, linkTarget: "x" }), rawMember({ name: "a" }, "x")]),
      [
        ["l", ""],
        ["a", "x"],
      ],
    ],
    [
      "after the end mark nothing counts",
      Buffer.concat([rawMember({ name: "a" }, "x"), END, rawMember({ name: "b" })]),
      [["a", "x"]],
    ],
    ["a negative length", rawHeader({ name: "a", size: Buffer.alloc(12, 0xff) }), /has a length that is no number/],
    ["no length", rawHeader({ name: "a", size: "zzz" }), /has a length that is no number/],
    [
      "a negative length of pax",
      Buffer.concat([paxHeader({ size: "-1" }), rawHeader({ name: "a" })]),
      /a pax header has a length that is no number/,
    ],
    [
      "a name for all members",
      Buffer.concat([paxHeader({ path: "b" }, "g"), rawMember({ name: "a" })]),
      /a pax header that gives all members one name or length/,
    ],
    [
      "a sparse file",
      Buffer.concat([paxHeader({ "GNU.sparse.major": "1" }), rawMember({ name: "a" })]),
      /it has sparse files/,
    ],
    ["an old sparse file", rawHeader({ name: "a", type: "S" }), /of a kind that is in no standard/],
    [
      "a name with a NUL in it",
      Buffer.concat([paxHeader({ path: "a\0b" }), rawMember({ name: "a" })]),
      /name is malformed or too long/,
    ],
    [
      "a name that is too long",
      Buffer.concat([paxHeader({ path: "a".repeat(600) }), rawMember({ name: "a" })]),
      /name is malformed or too long/,
    ],
    [
      "an extended header that is too large",
      rawHeader({ type: "x", size: 70_000 }),
      /extended header of more than 65536 bytes/,
    ],
    [
      "a malformed pax header",
      Buffer.concat([rawMember({ type: "x" }, "99 path=x\n"), rawMember({ name: "a" })]),
      /a pax header is malformed/,
    ],
    ["a wrong checksum", rawHeader({ name: "a", wrongChecksum: true }), /a header's checksum is wrong/],
  ];
  test.each(cases)("%s", (_, members, expected) => {
    const tar = Buffer.concat([members, END]);
    for (const read of [() => indexed(tar), () => streamed(tar, 100)])
      if (Array.isArray(expected)) expect(read()).toEqual(expected);
      else expect(read).toThrow(expected);
  });

  test("a tar without its end mark was cut", () => {
    const tar = rawMember({ name: "a" }, "x");
    expect(() => indexed(tar)).toThrow("it ends without an end mark");
    expect(() => streamed(tar, 512)).toThrow("it ends without an end mark");
  });
});

test("whatever is in a tar, both readers see the same or refuse it", () => {
  const random = new Random(7);
  for (let i = 0; i < 150; i++) {
    const odd = oddMembers(random);
    if (odd.length > 200_000) continue;
    const tar = Buffer.concat([rawMember({ name: "a" }, "first"), odd, rawMember({ name: "b" }, "second"), END]);
    expect([i, outcome(() => streamed(tar, 1 + random.below(2_000)))]).toEqual([i, outcome(() => indexed(tar))]);
  }
});
