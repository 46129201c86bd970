const DURATION = /^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|[µμ]s|ms|s|m|h))+)$/;
/** Go counts a duration in nanoseconds of 64 bits. */
const LONGEST_MS = 2 ** 63 / 1e6;
/** More characters than any duration needs. */
const LONGEST_TEXT = 100;

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** What is wrong with the text of a Go duration (time.ParseDuration), with the fix; undefined where nothing is. */
export function durationProblem(text: string): string | undefined {
  if (text.length > LONGEST_TEXT || !DURATION.test(text))
    return "must be a duration such as 30s, 4m0s or 8760h; a unit is needed (ns, us, ms, s, m, h)";
  return Math.abs(milliseconds(text)) < LONGEST_MS
    ? undefined
    : "is longer than a duration can be (2562047h, some 292 years)";
}

/** Milliseconds of a Go duration such as 1h30m. Throws RangeError when the text is not one, or longer than one can be. */
export function parseDuration(text: string): number {
  if (durationProblem(text) !== undefined) throw new RangeError(`not a duration: ${text}`);
  return milliseconds(text);
}

function milliseconds(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|[µμ]s|ms|s|m|h)/g)) {
    total += Number(amount) * UNIT_MS[unit!]!;
  }
  return text.startsWith("-") ? -total : total;
}

/** A Go duration as Go prints it (time.Duration.String), from milliseconds: 87600h0m0s, 4m0s, 1.5s, 0s. */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? "-" : "";
  const total = Math.abs(ms);
  if (total === 0) return "0s";
  if (total < 1000) return `${sign}${Number(total.toFixed(6))}ms`;
  const seconds = Number(((total % 60_000) / 1000).toFixed(9));
  const minutes = Math.floor(total / 60_000) % 60;
  const hours = Math.floor(total / 3_600_000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}
