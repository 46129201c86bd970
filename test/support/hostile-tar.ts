import type { Random } from "./random.ts";

/** A header's fields, each as it is to stand there; what is left out is as it should be. */
export interface RawHeader {
  name?: string;
  size?: number | Buffer | string;
  type?: string;
  linkTarget?: string;
  magic?: string;
  wrongChecksum?: boolean;
}

/** A tar's header block with these fields, right or not. */
export function rawHeader({
  name = "",
  size = 0,
  type = "0",
  linkTarget = "",
  magic = "ustar\x0000",
  wrongChecksum,
}: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  block.write(name.slice(0, 100), 0, "utf8");
  block.write("0000644\x000000000\x000000000\0", 100, "latin1");
  if (Buffer.isBuffer(size)) size.copy(block, 124, 0, 12);
  else
    block.write(
      typeof size === "string" ? size.slice(0, 12) : `${size.toString(8).padStart(11, "0")} `.slice(0, 12),
      124,
      "latin1",
    );
  block.write("00000000000 ", 136, "latin1");
  block.write(type, 156, 1, "latin1");
  block.write(linkTarget.slice(0, 100), 157, "utf8");
  block.write(magic, 257, 8, "latin1");
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0) + (wrongChecksum ? 1 : 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A member of a tar: header, body and what fills its last block. */
export function rawMember(header: RawHeader, body: Buffer | string = ""): Buffer {
  const data = Buffer.from(body);
  return Buffer.concat([
    rawHeader({ size: data.length, ...header }),
    data,
    Buffer.alloc((512 - (data.length % 512)) % 512),
  ]);
}

/** A pax extended header with these records. */
export function paxHeader(records: Record<string, string>, type = "x"): Buffer {
  const body = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  });
  return rawMember({ name: "pax", type }, body.join(""));
}

const base256 = (value: bigint, negative = false): Buffer => {
  const bytes = Buffer.alloc(12, negative ? 0xff : 0);
  for (let i = 11, rest = value; i > 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn) ^ (negative ? 0xff : 0);
  bytes[0] = negative ? 0xff : 0x80;
  return bytes;
};

const NAMES = [
  "../../../escaped",
  "/tmp/kubestick-escaped",
  "blobs/sha256/../../escaped",
  "index.json",
  "oci-layout",
  "./",
  "a\0b",
  "\x1b[31mred",
  "blobs/sha256",
  `blobs/sha256/${"a".repeat(64)}`,
];

/** Members that no archive should have, to stand before, between or behind others. */
export function oddMembers(random: Random): Buffer {
  const name = random.pick(NAMES);
  switch (random.below(12)) {
    case 0:
      return rawMember({
        name,
        type: random.pick(["1", "2", "3", "4", "5", "6", "7", "S", "D", "V", "M", "Z", "\xff"]),
        linkTarget: random.pick(["/etc/shadow", "..", name]),
      });
    case 1:
      return rawHeader({ name, size: base256(BigInt(random.size(2 ** 50)), random.chance(0.5)) });
    case 2:
      return rawHeader({
        name,
        size: random.pick(["77777777777", "-0000000001", "NaN", "0x10", "99999999999", "", " ", "1e9"]),
      });
    case 3:
      return Buffer.concat([
        paxHeader({ path: random.pick([name, "a".repeat(random.size(60_000))]) }),
        rawMember({ name: "x" }, "x"),
      ]);
    case 4:
      return Buffer.concat([
        paxHeader({ size: random.pick(["-1", "NaN", "9".repeat(20), "1", "1e3", String(random.size(2 ** 40))]) }),
        rawMember({ name: "x" }, "xyz"),
      ]);
    case 5:
      return Buffer.concat([
        paxHeader({ "GNU.sparse.major": "1", "GNU.sparse.realsize": "99999999999" }),
        rawMember({ name }, "x"),
      ]);
    case 6:
      return paxHeader({ path: name }, "g");
    case 7: {
      const one = random.pick([
        paxHeader({ comment: "x".repeat(random.size(60_000)) }),
        rawMember({ name: "././@LongLink", type: "L" }, `${"n".repeat(random.size(5_000))}\0`),
      ]);
      return Buffer.concat(Array<Buffer>(random.size(Math.min(3_000, 20_000_000 / one.length))).fill(one));
    }
    case 8:
      return Buffer.concat(Array.from({ length: random.size(30_000) }, (_, i) => rawHeader({ name: `file-${i}` })));
    case 9:
      return rawHeader({ name, wrongChecksum: true });
    case 10:
      return rawMember(
        { name: "pax", type: "x" },
        random.pick(["", "5", "999 path=x\n", "10 path\n", "-1 path=x\n", "0 path=x\n", "\0\0", " ".repeat(100)]),
      );
    default:
      return Buffer.alloc(512 * random.size(4));
  }
}
