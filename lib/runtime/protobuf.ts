/**
 * The little of protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) that the CRI calls need:
 * varints and length-delimited fields, by field number.
 */
export type Fields = Map<number, (bigint | Buffer)[]>;

/** Encodes fields: strings and buffers as length-delimited, numbers and booleans as varints; zero values are left out. */
export function encode(fields: [number, string | number | boolean | Buffer][]): Buffer {
  const parts: Buffer[] = [];
  for (const [number, value] of fields) {
    if (typeof value === "number" || typeof value === "boolean") {
      if (value) parts.push(varint(BigInt(number) << 3n), varint(BigInt(value)));
    } else if (value.length > 0) {
      const bytes = Buffer.from(value as string);
      parts.push(varint((BigInt(number) << 3n) | 2n), varint(BigInt(bytes.length)), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** Decodes a message into its raw fields. Throws RangeError on bytes that are no protobuf message. */
export function decode(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("protobuf: message ends inside a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("protobuf: number is too long");
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new RangeError("protobuf: message ends inside a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const wire = Number(tag & 7n);
    let value: bigint | Buffer;
    if (wire === 0) value = readVarint();
    else if (wire === 2) value = take(Number(readVarint()));
    else if (wire === 1) value = take(8);
    else if (wire === 5) value = take(4);
    else throw new RangeError(`protobuf: unknown wire type ${wire}`);
    const number = Number(tag >> 3n);
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

/** A message field, decoded; empty where it is not set. */
export function message(fields: Fields, number: number): Fields {
  const value = fields.get(number)?.at(-1);
  return Buffer.isBuffer(value) ? decode(value) : new Map();
}

/** Every message of a repeated field. */
export function messages(fields: Fields, number: number): Fields[] {
  return (fields.get(number) ?? []).filter(Buffer.isBuffer).map((value) => decode(value as Buffer));
}

/** A string field; empty where it is not set. */
export function text(fields: Fields, number: number): string {
  const value = fields.get(number)?.at(-1);
  return Buffer.isBuffer(value) ? value.toString("utf8") : "";
}

/** A 32-bit integer, enumeration or boolean field; 0 where it is not set. */
export function integer(fields: Fields, number: number): number {
  const value = fields.get(number)?.at(-1);
  return typeof value === "bigint" ? Number(BigInt.asIntN(32, value)) : 0;
}

/** A map<string, string> field as an object. */
export function stringMap(fields: Fields, number: number): Record<string, string> {
  return Object.fromEntries(messages(fields, number).map((entry) => [text(entry, 1), text(entry, 2)]));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  bytes.push(Number(value));
  return Buffer.from(bytes);
}
