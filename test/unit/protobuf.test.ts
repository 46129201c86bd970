import { expect, test } from "bun:test";
import * as pb from "../../lib/runtime/protobuf.ts";

test("protobuf: what is encoded is decoded, and cut messages are refused", () => {
  const bytes = pb.encode([
    [1, "text"],
    [2, 300],
    [3, true],
    [4, pb.encode([[1, "inner"]])],
    [16, "far"],
  ]);
  const fields = pb.decode(bytes);
  expect([
    pb.text(fields, 1),
    pb.integer(fields, 2),
    pb.integer(fields, 3),
    pb.text(pb.message(fields, 4), 1),
    pb.text(fields, 16),
  ]).toEqual(["text", 300, 1, "inner", "far"]);
  let refused = 0;
  for (let i = 1; i < bytes.length; i++) {
    try {
      pb.decode(bytes.subarray(0, i));
    } catch (e) {
      expect(e).toBeInstanceOf(RangeError);
      refused++;
    }
  }
  // Only cuts between two fields leave a message.
  expect(refused).toBe(bytes.length - 1 - 4);
});
