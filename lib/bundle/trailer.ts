/** The last bytes of an executable that carries a bundle. */
export const TRAILER_BYTES = 64;
const MAGIC = Buffer.from("kubestick-bundle");
const FORMAT = 1;

/** Where in a file a bundle lies: offset and length in bytes. */
export interface Extent {
  offset: number;
  length: number;
}

/** The trailer of an executable with a bundle at this extent: magic, format, offset, length, zeros, magic again. */
export function encodeTrailer({ offset, length }: Extent): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT, 16);
  bytes.writeBigUInt64LE(BigInt(offset), 20);
  bytes.writeBigUInt64LE(BigInt(length), 28);
  MAGIC.copy(bytes, TRAILER_BYTES - MAGIC.length);
  return bytes;
}

/**
 * The extent that a file's last TRAILER_BYTES name; undefined when they are no trailer. Throws RangeError when they are
 * one but do not fit a file of this size: it was cut or put together wrongly.
 */
export function decodeTrailer(bytes: Buffer, fileSize: number): Extent | undefined {
  if (bytes.length !== TRAILER_BYTES) return undefined;
  if (!bytes.subarray(0, 16).equals(MAGIC) || !bytes.subarray(TRAILER_BYTES - 16).equals(MAGIC)) return undefined;
  const [offset, length] = [Number(bytes.readBigUInt64LE(20)), Number(bytes.readBigUInt64LE(28))];
  if (bytes.readUInt32LE(16) !== FORMAT)
    throw new RangeError("its bundle is of a format that this kubestick does not know");
  if (offset + length + TRAILER_BYTES !== fileSize) throw new RangeError("its trailer does not fit its size");
  return { offset, length };
}
