/** A way to compress a file, told by its first bytes, and the program that undoes it. */
export interface Compression {
  name: string;
  unpack: string;
}

const MAGIC: [number[], Compression][] = [
  [[0x1f, 0x8b], { name: "gzip", unpack: "gunzip -k" }],
  [[0x28, 0xb5, 0x2f, 0xfd], { name: "zstd", unpack: "unzstd -k" }],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], { name: "xz", unpack: "unxz -k" }],
  [[0x42, 0x5a, 0x68], { name: "bzip2", unpack: "bunzip2 -k" }],
  [[0x04, 0x22, 0x4d, 0x18], { name: "lz4", unpack: "unlz4 -k" }],
  [[0x50, 0x4b, 0x03, 0x04], { name: "zip", unpack: "unzip" }],
];

/** What a file that begins with these bytes is compressed with; undefined where it is not. */
export function compression(head: Buffer): Compression | undefined {
  return MAGIC.find(([magic]) => head.subarray(0, magic.length).equals(Buffer.from(magic)))?.[1];
}
