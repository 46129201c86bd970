import { describe, expect, test } from "bun:test";
import { readYaml, readYamlDocuments, YamlError, yamlText } from "../../lib/yaml/read.ts";
import { looksTyped, resolvePlain } from "../../lib/yaml/scalars.ts";
import { sortedYaml, writeYaml } from "../../lib/yaml/write.ts";

const failure = (text: string): { line: number; message: string } | undefined => {
  try {
    for (const _ of readYamlDocuments(text));
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(YamlError);
    const { line, message } = error as YamlError;
    return { line, message };
  }
};

describe("scalars", () => {
  test("stand for what go-yaml v2 takes them for", () => {
    const table: [string | number | boolean | null, string][] = [
      [true, "y Y yes Yes YES true True TRUE on On ON"],
      [false, "n N no No NO false False FALSE off Off OFF"],
      [null, "~ null Null NULL"],
      [3, "0b11 0B11 3 +3 0o3 0O3 03 0x3 0X3 0_3 3_"],
      [-1, "-0b1 -0x1 -1 -01"],
      [1000, "1_000 1__0_0_0 1e3 1E+3 1000.0 1_000."],
      [8, "010 0o10 08 8."],
      [0.5, ".5 0.5 5e-1 .5_0"],
      [2 ** 64, "18446744073709551616"],
    ];
    for (const [value, words] of table)
      for (const word of words.split(" ")) expect([word, resolvePlain(word)]).toEqual([word, value]);
  });

  test("that are strings to Kubernetes stay strings: times, other spellings, numbers out of range", () => {
    const words =
      "yEs tRUE nULL 2026-01-01 12:30:00 190:20:30.15 0b2 0o8 0xg 1e999 .1e999 ._5 .5__0 +.5_x 1,000 -- +-1 0x1p4 << = Infinity";
    for (const word of words.split(" ")) expect([word, resolvePlain(word)]).toEqual([word, word]);
    expect(resolvePlain(`1${"0".repeat(200_000)}`)).toBe(`1${"0".repeat(200_000)}`);
  });

  test("are quoted where any reader would take them for something else", () => {
    const found =
      "y yes NO On off 0b1 -0b11 0B1 0O7 0X1F +0x1 -0x1 0x_1 0_ 1_000 1__0 685.230_15e+03 ~ null 12:30 2026-01-01 .5 = <<";
    for (const word of found.split(" ")) expect([word, looksTyped(word)]).toEqual([word, true]);
    for (const word of "yess a --x=1 10.0.0.1 v1.36.2 8760h0m0s fd00::1 10.96.0.0/12 0b2x".split(" "))
      expect([word, looksTyped(word)]).toEqual([word, false]);
  });
});

describe("writing", () => {
  test("whatever strings hold, they are read back as they are", () => {
    const strings = [
      ...[
        "yes",
        "0b11",
        "",
        " ",
        " lead",
        "trail ",
        "a: b",
        "- x",
        "? x",
        "#c",
        "a #c",
        "---",
        "--- x",
        "...",
        "%x",
        "\t",
        "a\tb",
      ],
      ...[
        "'",
        '"',
        "\\",
        "l1\nl2",
        "l1\n",
        "l1\n\n",
        "\n",
        "\nx",
        " a\nb",
        "a \nb",
        "a\n  b\n\nc",
        "a\r\nb",
        "x: |\n",
        "]",
        "{",
        "&a",
        "*a",
        "!t",
        "|",
        ">",
      ],
      ...[
        "\u0085",
        "a\u2028b",
        "a\u2029",
        "\u007f",
        "\u0000",
        "\u001b[31m",
        "\ufeff",
        "\uffff",
        "\ud83d\ude00",
        "é",
        "x".repeat(2000),
        "`",
        "@",
        "key:",
        ":",
        "-",
      ],
    ];
    const value = {
      list: strings,
      map: Object.fromEntries(strings.map((s) => [s, s])),
      nested: [[strings], [{ a: strings }]],
    };
    for (const text of [writeYaml(value), sortedYaml(value)]) expect(readYaml(text)).toEqual(value);
  });

  test("unprintable characters and other line ends are escaped in double quotes", () => {
    expect(writeYaml(["a\u2028b", "\u2029", "\u0085", "\u007f", "\ufeff", "\r"])).toBe(
      '- "a\\u2028b"\n- "\\u2029"\n- "\\u0085"\n- "\\u007f"\n- "\\ufeff"\n- "\\r"\n',
    );
  });

  test("the style is that of Kubernetes' tools", () => {
    expect(sortedYaml({ b: ["x", "--a=b"], a: { d: "l1\nl2\n", c: [], e: {} }, nil: null, t: "yes" })).toBe(
      'a:\n  c: []\n  d: |\n    l1\n    l2\n  e: {}\nb:\n- x\n- --a=b\nnil: null\nt: "yes"\n',
    );
  });
});

describe("reading", () => {
  test("keys are strings, as JSON has them", () => {
    expect(readYaml("1: a\nyes: b\n0x10: c\n1.5: d\n")).toEqual({ "1": "a", true: "b", "16": "c", "1.5": "d" });
    expect(failure("~: a\n")).toEqual({ line: 1, message: "a mapping has a key that is no string" });
    expect(failure("a: 1\n? [x]\n: b\n")).toEqual({ line: 2, message: "a mapping has a key that is no string" });
  });

  test("no key reaches an object's prototype", () => {
    const value = readYaml("__proto__: {polluted: true}\nconstructor: {a: b}\ntoString: c\n") as Record<
      string,
      unknown
    >;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor", "toString"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(readYaml(writeYaml(value))).toEqual(value);
  });

  test("aliases and << stand for what they name; explicit keys go before merged ones", () => {
    expect(readYaml("a: &x {k: v, l: w}\nb: *x\nc: {<<: *x, k: own}\nd: {<<: [*x, {m: o}]}\n")).toEqual({
      a: { k: "v", l: "w" },
      b: { k: "v", l: "w" },
      c: { k: "own", l: "w" },
      d: { k: "v", l: "w", m: "o" },
    });
    expect(readYaml('"<<": {a: b}\n')).toEqual({ "<<": { a: "b" } });
    // The anchor before it counts, whatever comes later.
    expect(readYaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")).toEqual({ a: 1, b: 1, c: 2, d: 2 });
  });

  test("aliases of nothing, of themselves, and of millions are refused", () => {
    expect(failure("a: *x\n")).toEqual({ line: 1, message: "nothing is named &x before *x" });
    expect(failure("a:\n- &x [*x]\n")?.message).toBe("it is nested more than 200 levels deep");
    expect(failure("a: &x\n  <<: *x\n")?.message).toBe("it is nested more than 200 levels deep");
    const laughs = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"];
    for (let i = 1; i < 10; i++) laughs.push(`a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`)}]`);
    expect(failure(laughs.join("\n"))?.message).toBe("its aliases (*name) stand for more than 100000 values");
    expect(readYaml(laughs.slice(0, 4).join("\n"))).toBeDefined();
  });

  test("duplicate keys, syntax errors and numbers that JSON lacks are told with their line", () => {
    expect(failure("a: 1\nb: 2\na: 3\n")).toEqual({ line: 3, message: 'the key "a" is given twice' });
    expect(failure("a: 1\nb: [\n")?.line).toBe(3);
    expect(failure("a: .inf\n")).toEqual({ line: 1, message: "Infinity is no number that Kubernetes has" });
    expect(failure("]\n")?.line).toBe(1);
  });

  test("tags must fit; those of somebody's own are text", () => {
    expect(readYaml("a: !!str 1\nb: !!int 0x10\nc: !!float 1\nd: !!bool yes\ne: !!null ~\nf: !own 1\n")).toEqual({
      a: "1",
      b: 16,
      c: 1,
      d: true,
      e: null,
      f: "1",
    });
    expect(failure("a: !!int x\n")).toEqual({ line: 1, message: '"x" is no !!int' });
    expect(failure("a: !!binary AAAA\n")).toEqual({ line: 1, message: '"AAAA" is no !!binary' });
  });

  test("characters that YAML does not have, or only Kubernetes takes for line ends, are refused", () => {
    expect(failure("a: b\nc: \u0007\n")).toEqual({
      line: 2,
      message: "the character U+0007 is a control character; is this a text file?",
    });
    expect(failure("a: b\u2028c\n")).toEqual({
      line: 1,
      message: 'the character U+2028 ends a line for Kubernetes only; write it as "\\u2028", in double quotes',
    });
  });

  test("every document is read, empty ones are left out", () => {
    expect([...readYamlDocuments("---\n--- # one\na: 1\n---\n...\n--- # two\nb: 2\n---\n")]).toEqual([
      { a: 1 },
      { b: 2 },
    ]);
    expect(readYaml("# nothing\n")).toBeUndefined();
  });

  test("depth, size and number of documents are bounded, and the bound is soon reached", () => {
    for (const text of ["[", "{", "- ", "? ", "a: ", "{a: "].map((piece) => piece.repeat(20_000)))
      expect(failure(text)?.message).toBe("it is nested more than 200 levels deep");
    for (const text of ["- v\n", "a,\n", "&a ", '"" ', "|\n"].map((piece) => piece.repeat(110_000)))
      expect(failure(text === "a,\n".repeat(110_000) ? `[${text}` : text)?.message).toBe(
        "it holds more values than any Kubernetes object",
      );
    expect(failure("--- a\n".repeat(2_000))?.message).toBe("it holds more than 1000 documents");
    expect(readYaml("- v\n".repeat(15_000))).toHaveLength(15_000);
    expect(readYaml(`${"[".repeat(150)}${"]".repeat(150)}`)).toBeDefined();
  });

  test("files are UTF-8, or UTF-16 with a mark", () => {
    expect(yamlText(Buffer.from("a: é\n"))).toBe("a: é\n");
    expect(yamlText(Buffer.from("\ufeffa: b\n", "utf16le"))).toBe("a: b\n");
    expect(() => yamlText(Buffer.from([0x61, 0xff]))).toThrow("it is no text in UTF-8");
  });
});
