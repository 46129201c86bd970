/**
 * What a terminal obeys, hides or turns round instead of showing it: control characters (C0, C1, DEL), format characters
 * (bidirectional overrides, zero-width ones, tags), line and paragraph separators, halves of a character. By Unicode's
 * general categories; see Unicode TR 36 and "Trojan Source" (CVE-2021-42574).
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const hex = (code: number, digits: number) => code.toString(16).padStart(digits, "0");

function escaped(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`;
}

/** Text that is safe on a terminal, of one or more lines: all that a terminal would obey is written as `\x1b`, `\u202e`. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => (character === "\n" || character === "\t" ? character : escaped(character)));

/** As printable, for a text that is one line, whatever is in it: line feeds are escaped too. */
export const oneLine = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** As printable, with every line but the first indented, so that none of them passes for a message of its own. */
export const paragraph = (text: string): string => printable(text).replace(/\n(?=\S)/g, "\n  ");

/** A value as JSON that is safe on a terminal and still the same JSON (RFC 8259 §7): JSON itself escapes C0 alone. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(UNPRINTABLE, (character) =>
    character === "\n"
      ? character
      : character
          .split("")
          .map((unit) => `\\u${hex(unit.charCodeAt(0), 4)}`)
          .join(""),
  );
