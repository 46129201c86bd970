import { describe, expect, test } from "bun:test";
import { decodeTrailer, encodeTrailer, TRAILER_BYTES } from "../../lib/bundle/trailer.ts";

describe("trailer", () => {
  test("says what was put in, for any extent", () => {
    for (let i = 0; i < 200; i++) {
      const extent = { offset: Math.floor(Math.random() * 2 ** 40), length: Math.floor(Math.random() * 2 ** 40) };
      expect(decodeTrailer(encodeTrailer(extent), extent.offset + extent.length + TRAILER_BYTES)).toEqual(extent);
    }
  });
  test("is told from other bytes, and from one that does not fit its file", () => {
    expect(decodeTrailer(Buffer.alloc(TRAILER_BYTES), 1000)).toBeUndefined();
    expect(() => decodeTrailer(encodeTrailer({ offset: 100, length: 100 }), 300)).toThrow("does not fit");
  });
});
