import { EXIT, KubestickError } from "../host/errors.ts";

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

/** No name of ours is longer, nor is what somebody meant by one. */
const LONGEST_NAME = 100;

/** The known name nearest to a mistyped one, if any is near enough to be meant (edit distance). */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    // So many letters are too many or too few already; a long text is never compared letter by letter.
    if (Math.abs(name.length - candidate.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
