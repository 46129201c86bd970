import { createConsola } from "consola";
import type { KubestickError } from "../host/errors.ts";

/** Where a command's words go: text for a person, or one JSON report at the end. */
export interface Ui {
  readonly json: boolean;
  readonly verbosity: number;
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

/** The console's Ui. With `json`, words go to standard error, so that standard output holds only the report. */
export function consoleUi(options: { json: boolean; verbosity: number }): Ui {
  const stream = options.json ? process.stderr : process.stdout;
  const console = createConsola({
    level: 3 + options.verbosity,
    stdout: stream,
    stderr: process.stderr,
    formatOptions: { date: false, colors: stream.isTTY },
  });
  let shown: string[] = [];
  const endLive = () => {
    // Up to the first of the live lines, then clear to the end of the screen (ECMA-48 CUU and ED).
    if (shown.length > 0 && stream.isTTY) stream.write(`\x1b[${shown.length}A\x1b[J`);
    if (stream.isTTY) shown = [];
  };
  return {
    json: options.json,
    verbosity: options.verbosity,
    step(phase, text) {
      endLive();
      stream.write(`[${phase}] ${text}\n`);
    },
    warn(text) {
      endLive();
      console.warn(text);
    },
    detail(text) {
      if (options.verbosity <= 0) return;
      endLive();
      console.debug(text);
    },
    print(text) {
      endLive();
      if (!options.json) process.stdout.write(`${text}\n`);
    },
    live(phase, lines) {
      const changed = lines.filter((line) => !shown.includes(line));
      if (stream.isTTY) endLive();
      for (const line of stream.isTTY ? lines : changed)
        stream.write(`${`[${phase}] ${line}`.slice(0, (stream.columns || 120) - 1)}\n`);
      shown = lines;
    },
  };
}

/** An error as the person at the console reads it: what failed, then what to do. */
export function formatError(error: KubestickError): string {
  return `error: ${error.message}${error.hint ? `\nwhat to do: ${error.hint}` : ""}`;
}
