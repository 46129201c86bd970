import { styleText } from "node:util";
import { createConsola, type LogObject } from "consola/core";
import type { KubestickError } from "../errors.ts";
import { jsonText, oneLine, paragraph, printable } from "./text.ts";

/** Says one line of what is done, or would be. */
export type Say = (text: string) => void;

/** Where a command's words go: text for a person, or one JSON report at the end. All of it is made safe for a terminal. */
export interface Ui {
  readonly json: boolean;
  /** Whether a person looks on: a terminal, on which lines replace each other. */
  readonly terminal?: boolean;
  /** A step: `[certs] Generating "ca" certificate and key`. */
  step(phase: string, text: string): void;
  warn(text: string): void;
  /** A detail, shown with -v. */
  detail(text: string): void;
  /** The result, to standard output: plain text that scripts may read. */
  print(text: string): void;
  /** Lines that replace themselves on a terminal, one a component; elsewhere each is printed when it changes. */
  live(phase: string, lines: string[]): void;
}

/** Whether colours may go to a stream: to a terminal that knows them, unless NO_COLOR is set (https://no-color.org). */
export const takesColor = (stream: { isTTY?: boolean }): boolean =>
  stream.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";

/** Writes text to standard output, safe for a terminal. */
export const printText = (text: string): void => void process.stdout.write(`${printable(text)}\n`);

/** Writes a command's report to standard output as JSON. */
export const printJson = (value: unknown): void => void process.stdout.write(`${jsonText(value)}\n`);

/** The console's Ui. With `json`, words go to standard error, so that standard output holds only the report. */
export function consoleUi(options: { json: boolean; verbosity: number }): Ui {
  const stream = options.json ? process.stderr : process.stdout;
  const console = createConsola({
    level: 3 + options.verbosity,
    reporters: [{ log: (entry) => logLine(entry, entry.type === "warn" ? process.stderr : stream) }],
  });
  let shown: string[] = [];
  const endLive = () => {
    // Up to the first of the live lines, then clear to the end of the screen (ECMA-48 CUU and ED).
    if (shown.length > 0 && stream.isTTY) stream.write(`\x1b[${shown.length}A\x1b[J`);
    if (stream.isTTY) shown = [];
  };
  return {
    json: options.json,
    terminal: stream.isTTY === true,
    step(phase, text) {
      endLive();
      stream.write(`[${phase}] ${printable(text)}\n`);
    },
    warn(text) {
      endLive();
      console.warn(paragraph(text));
    },
    detail(text) {
      if (options.verbosity <= 0) return;
      endLive();
      console.debug(paragraph(text));
    },
    print(text) {
      endLive();
      if (!options.json) printText(text);
    },
    live(phase, lines) {
      const changed = lines.filter((line) => !shown.includes(line));
      if (stream.isTTY) endLive();
      for (const line of stream.isTTY ? lines : changed)
        stream.write(`${`[${phase}] ${oneLine(line)}`.slice(0, (stream.columns || 120) - 1)}\n`);
      shown = lines;
    },
  };
}

/** Writes a warning or a detail as `[warn] text`; consola's own reporters cost a small board 4 MB. */
function logLine({ type, args }: LogObject, stream: NodeJS.WriteStream): void {
  const tag = `[${type}]`;
  const shown = takesColor(stream) ? styleText(type === "warn" ? "yellow" : "gray", tag, { stream }) : tag;
  stream.write(`${shown} ${args.join(" ")}\n`);
}

/** An error as the person at the console reads it: what failed, then what to do. */
export function formatError(error: KubestickError): string {
  return `error: ${paragraph(error.message)}${error.hint ? `\nwhat to do: ${paragraph(error.hint)}` : ""}`;
}
