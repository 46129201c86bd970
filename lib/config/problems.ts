import { EXIT, KubestickError } from "../host/errors.ts";

/** One thing that is wrong with a configuration: where, what, and (in the message) how to put it right. */
export interface Problem {
  file: string;
  line: number;
  path: string;
  message: string;
}

/** Every problem of a configuration together, one a line as `file:line: path: message` (exit code 2). */
export class ConfigError extends KubestickError {
  override name = "ConfigError";
  readonly problems: Problem[];

  constructor(problems: Problem[]) {
    const sorted = [...problems].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
    super(sorted.map((p) => `${p.file}:${p.line}: ${p.path}: ${p.message}`).join("\n"), {
      exitCode: EXIT.usage,
      hint: `correct the ${sorted.length === 1 ? "line" : "lines"} above and run the same command again; nothing was changed`,
    });
    this.problems = sorted;
  }
}

/** The known name nearest to a mistyped one, if any is near enough to be meant (edit distance). */
export function suggest(name: string, known: Iterable<string>): string | undefined {
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
