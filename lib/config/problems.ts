import { EXIT, KubestickError } from "../errors.ts";

/** One thing that is wrong with a configuration: where, what, and (in the message) how to put it right. */
export interface Problem {
  file: string;
  line: number;
  path: string;
  message: string;
}

/** How many problems are told one by one: nobody reads more, and one mistake can make thousands. */
const TOLD = 20;

/** The problems of a configuration together, one a line as `file:line: path: message`, the first twenty (exit code 2). */
export class ConfigError extends KubestickError {
  override name = "ConfigError";
  readonly problems: Problem[];

  constructor(problems: Problem[]) {
    const sorted = [...problems].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
    const lines = sorted.slice(0, TOLD).map((p) => shorten(`${p.file}:${p.line}: ${p.path}: ${p.message}`));
    if (sorted.length > TOLD) lines.push(`and ${sorted.length - TOLD} more`);
    super(lines.join("\n"), {
      exitCode: EXIT.usage,
      code: "config",
      hint: `correct the ${sorted.length === 1 ? "line" : "lines"} above and run the same command again; nothing was changed`,
    });
    this.problems = sorted;
  }
}

const LONGEST_LINE = 1000;

/** A line that repeats what it was given, which may be anything. */
function shorten(line: string): string {
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE / 2)} … ${line.slice(-LONGEST_LINE / 4)}` : line;
}
