import { describe, expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import { formatTable } from "../../lib/ui/table.ts";
import { jsonText, oneLine, paragraph, printable } from "../../lib/ui/text.ts";
import { formatError, takesColor } from "../../lib/ui/ui.ts";

/** One of each kind that a terminal obeys or hides, written as code points. */
const HOSTILE = [
  0x00, 0x07, 0x08, 0x0b, 0x0c, 0x0d, 0x1b, 0x7f, 0x80, 0x85, 0x9b, 0x9d, 0xad, 0x61c, 0x180e, 0x200b, 0x200d, 0x200e,
  0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0xfeff,
  0xfff9, 0xe0001, 0xe007f,
].map((code) => String.fromCodePoint(code));

describe("text for a terminal", () => {
  test("what a terminal obeys is written out, and everything else stays", () => {
    expect(printable("\x1b[31mred\x1b[0m\x07 \x9b2J \x7f\r")).toBe("\\x1b[31mred\\x1b[0m\\x07 \\x9b2J \\x7f\\r");
    expect(printable("user\u202egnp.exe\u2028x\u{e0001}")).toBe("user\\u202egnp.exe\\u2028x\\u{e0001}");
    expect(printable("half \ud800 a character")).toBe("half \\ud800 a character");
    for (const character of HOSTILE) for (const safe of [printable, oneLine]) expect(safe(character)).toMatch(/^\\/);
    const plain = "Zürich 東京 😀 ▄▀█ e\u0301 \\x1b\ttab\nline";
    expect(printable(plain)).toBe(plain);
    expect(oneLine(plain)).toBe(plain.replace("\t", "\\t").replace("\n", "\\n"));
  });

  test("a line of a message never passes for another message", () => {
    expect(paragraph("no\nwhat to do: run this\n  indented")).toBe("no\n  what to do: run this\n  indented");
    expect(formatError(new KubestickError("a\nerror: b", { hint: "c\nd" }))).toBe(
      "error: a\n  error: b\nwhat to do: c\n  d",
    );
    expect(
      formatTable([
        ["A", "B"],
        ["x\ny", "\x1bz"],
      ]),
    ).toBe("A      B\nx\\ny   \\x1bz");
  });

  test("JSON stays the same JSON", () => {
    const value = { [`key${HOSTILE.join("")}`]: ["\n\t\ud800", ...HOSTILE], plain: "Zürich 😀" };
    const text = jsonText(value);
    expect(JSON.parse(text)).toEqual(value);
    for (const character of HOSTILE) expect(text).not.toContain(character);
    expect(text).toContain("Zürich 😀");
  });

  test("colour goes to terminals alone, and to none where NO_COLOR is set", () => {
    const before = { ...process.env };
    try {
      delete process.env["NO_COLOR"];
      process.env["TERM"] = "xterm";
      expect([takesColor({ isTTY: true }), takesColor({ isTTY: false }), takesColor({})]).toEqual([true, false, false]);
      process.env["NO_COLOR"] = "yes";
      expect(takesColor({ isTTY: true })).toBe(false);
      process.env["NO_COLOR"] = "";
      process.env["TERM"] = "dumb";
      expect(takesColor({ isTTY: true })).toBe(false);
    } finally {
      for (const name of ["NO_COLOR", "TERM"])
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
    }
  });
});
