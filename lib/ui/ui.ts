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
  /** A line that replaces itself on a terminal; elsewhere each different one is printed once. */
  live(phase: string, text: string): void;
}

const CLEAR_LINE = "\r\x1b[2K";

/** The console's Ui. With `json`, words go to standard error, so that standard output holds only the report. */
export function consoleUi(options: { json: boolean; verbosity: number }): Ui {
  const stream = options.json ? process.stderr : process.stdout;
  const console = createConsola({
    level: 3 + options.verbosity,
    stdout: stream,
    stderr: process.stderr,
    formatOptions: { date: false, colors: stream.isTTY },
  });
  let lastLive = "";
  const endLive = () => {
    if (lastLive !== "" && stream.isTTY) stream.write(CLEAR_LINE);
    lastLive = "";
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
    live(phase, text) {
      if (text === lastLive) return;
      if (stream.isTTY) stream.write(`${CLEAR_LINE}[${phase}] ${text}`.slice(0, stream.columns || 120));
      else stream.write(`[${phase}] ${text}\n`);
      lastLive = text;
    },
  };
}

/** An error as the person at the console reads it: what failed, then what to do. */
export function formatError(error: KubestickError): string {
  return `error: ${error.message}${error.hint ? `\nwhat to do: ${error.hint}` : ""}`;
}
