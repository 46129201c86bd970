import { describe, expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import { objectList, parseJson, parseObject } from "../../lib/oci/json.ts";
import { LIMITS } from "../../lib/oci/limits.ts";
import { jsonExcess } from "../../lib/util/json.ts";

const bytes = (text: string) => Buffer.from(text);

describe("what a text of JSON would take", () => {
  test.each([
    ["[]", undefined],
    ["[[]]", undefined],
    ["[[[]]]", "depth"],
    ['{"a":{"b":{}}}', "depth"],
    ["[1,2,3]", undefined],
    ["[1,2,3,4]", undefined],
    ["[1,2,3,4,5]", "values"],
    // What stands in strings counts for nothing.
    ['"[[[[,,,,"', undefined],
    ['"\\"[[[,,,,,"', undefined],
    ['["\\\\",[[]]]', "depth"],
    // Nor need it be JSON.
    ["]]]]", undefined],
    ["[[[", "depth"],
  ] as const)("%s: %p", (text, excess) => {
    expect(jsonExcess(bytes(text), { depth: 2, values: 4 })).toBe(excess);
  });
});

describe("JSON from outside", () => {
  test.each<[string, string, string]>([
    ["a text", "<html>", "x is not JSON"],
    ["nothing", "", "x is not JSON"],
    ["too long a text", " ".repeat(LIMITS.jsonBytes + 1), "x is larger than 4194304 bytes"],
    ["too deep a text", "[".repeat(LIMITS.jsonDepth + 1), "x is nested deeper than 64 levels"],
    ["too many values", `[${"0,".repeat(LIMITS.jsonValues)}0]`, "x has more than 100000 values"],
  ])("%s is refused before it is parsed, and named", (_, text, message) => {
    expect(() => parseJson(bytes(text), "x")).toThrow(message);
    expect(() => parseJson(bytes(text), "x")).toThrow(KubestickError);
  });

  test("an object is one, and a list is of objects", () => {
    expect(parseObject(bytes('{"a":1}'), "x")).toEqual({ a: 1 });
    for (const other of ["[]", "1", "null", '"a"'])
      expect(() => parseObject(bytes(other), "x")).toThrow("x is not a JSON object");
    expect([objectList(undefined, "x"), objectList(null, "x"), objectList([{}], "x")]).toEqual([[], [], [{}]]);
    for (const other of [{}, "a", [1], [{}, null], [[]]])
      expect(() => objectList(other, "x")).toThrow("x is not a list of objects");
  });
});
