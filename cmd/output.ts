import { EXIT, KubestickError, reason, systemError } from "../lib/errors.ts";
import { reportOf } from "../lib/index.ts";
import { paragraph, printable } from "../lib/ui/text.ts";
import { consoleUi, formatError, printJson, printText, type Ui } from "../lib/ui/ui.ts";

/** The names that a report has itself; a result's fields of these names are in `result` alone. */
const OWN_FIELDS = ["command", "status", "error", "hint", "code", "result"];

/** Where a command's words and its result go. With --output json standard output gets one report, and nothing else. */
export class Output {
  /** The command as far as it is known: what failed before its command was found is `kubestick`. */
  command = "kubestick";
  json: boolean;
  verbosity = 0;
  /** What the process ends with where nothing failed. */
  exitCode: number = EXIT.done;
  #ui: Ui | undefined;
  #result: unknown;
  /** Whether the result is printed as it is: kubeadm prints it, and its users' programs read it. */
  #bare = false;
  #reported = false;

  constructor(readonly argv: readonly string[]) {
    this.json = asksForJson(argv);
  }

  /** Steps, warnings and live lines; on standard error where standard output is for the report. */
  get ui(): Ui {
    this.#ui ??= consoleUi({ json: this.json, verbosity: this.verbosity });
    return this.#ui;
  }

  /** Text for a person, to standard output. */
  print(text: string): void {
    if (!this.json) printText(text);
  }

  /** Sets what `--output json` gives as `result`, whether or not the command succeeds after all. */
  report(result: unknown, { bare = false } = {}): void {
    this.#result = result;
    this.#bare = bare;
  }

  /** As `report`, with what a command of the library gives, or how far it came where it fails; gives it. */
  async reportOn<T>(running: Promise<T>): Promise<T> {
    try {
      const result = await running;
      this.report(result);
      return result;
    } catch (error) {
      const result = reportOf(error);
      if (result) this.report(result);
      throw error;
    }
  }

  /** Prints the report now, for a command that goes on until it is stopped. */
  now(status: string): void {
    this.#print({ status });
  }

  /** Prints the report of a command that did what it should. Returns the exit code. */
  done(): number {
    this.#print({ status: "done" });
    return this.exitCode;
  }

  /** Prints what was thrown: in words to standard error, in the report with its code. Returns the exit code. */
  failed(thrown: unknown): number {
    const error = systemError(thrown) ?? thrown;
    if (error instanceof KubestickError) {
      process.stderr.write(`${formatError(error)}\n`);
      const { message, hint, code } = error;
      this.#print({ status: "failed", error: message, ...(hint === undefined ? {} : { hint }), code });
      return error.exitCode;
    }
    const hint = "this is a bug in kubestick; run it again with -v and report what it printed";
    process.stderr.write(`error: ${paragraph(reason(error))}\nwhat to do: ${hint}\n`);
    if (this.argv.some((word) => /^--?v(=|\d|$)/.test(word)))
      process.stderr.write(`${printable(String((error as Error)?.stack))}\n`);
    this.#print({ status: "failed", error: reason(error), hint, code: "bug" });
    return EXIT.failed;
  }

  #print(outcome: { status: string; error?: string; hint?: string; code?: string }): void {
    if (!this.json || this.#reported) return;
    this.#reported = true;
    const result = this.#result;
    if (this.#bare && outcome.status === "done") {
      printJson(result);
      return;
    }
    // Programs that were written for the first reports look for a result's fields beside `command`.
    const beside =
      typeof result === "object" && result !== null && !Array.isArray(result)
        ? Object.fromEntries(Object.entries(result).filter(([name]) => !OWN_FIELDS.includes(name)))
        : {};
    printJson({
      command: this.command,
      ...outcome,
      ...(result === undefined ? {} : { result }),
      ...beside,
    });
  }
}

/** Whether a command line asks for JSON, also one that cannot be read: whoever asked must be able to read why. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  return words.some(
    (word, at) => /^--?o(utput)?=json$/.test(word) || (/^--?o(utput)?$/.test(word) && words[at + 1] === "json"),
  );
}
