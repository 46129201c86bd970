import { DAY } from "../constants/durations.ts";
import { LAST_TIME_FILE } from "../constants/network.ts";
import { BUILD_DATE } from "../constants/versions.ts";
import type { Files } from "./files.ts";
import { tryRun } from "./process.ts";

/** No node runs as long after its kubestick was built; what is noted beyond that is damage, and would ruin every certificate. */
const LATEST = Date.parse(BUILD_DATE) + 20 * 365 * DAY;

/** Notes the time, for a start after a power cut. Never throws: a full disk is no reason for an agent to end. */
export function noteTime(files: Files, now: Date): void {
  try {
    files.write(LAST_TIME_FILE, `${now.toISOString()}\n`, { mode: 0o644 });
  } catch {
    // Noted the next time.
  }
}

/** The last time that was noted; undefined where none was, or what is there is no time. */
export function lastTime(files: Files): Date | undefined {
  try {
    const time = Date.parse((files.readText(LAST_TIME_FILE) ?? "").trim());
    return time < LATEST ? new Date(time) : undefined;
  } catch {
    return undefined;
  }
}

/** Sets this host's clock. Gives why it could not; undefined when it could. */
export function setClock(time: Date): string | undefined {
  const out = tryRun("date", ["-u", "-s", `@${Math.ceil(time.getTime() / 1000)}`]);
  return out.status === 0 ? undefined : out.stderr.trim() || `date ended with ${out.status}`;
}

/** Puts a clock that stands before the last time noted forward to it. Gives what was done, for the log; undefined for nothing. */
export function neverInThePast(files: Files, now: Date): string | undefined {
  const last = lastTime(files);
  if (!last || last <= now) return undefined;
  const why = setClock(last);
  const stood = `the clock stood at ${now.toISOString()}, before ${last.toISOString()} when this node last ran`;
  return why ? `${stood}, and cannot be set: ${why}` : `${stood}; it was set to that`;
}
