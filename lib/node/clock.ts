import { LAST_TIME_FILE } from "../constants/network.ts";
import type { Files } from "../host/files.ts";
import { tryRun } from "../host/process.ts";

/** Notes the time, for a start after a power cut. */
export function noteTime(files: Files, now: Date): void {
  files.write(LAST_TIME_FILE, `${now.toISOString()}\n`, { mode: 0o644 });
}

/** The last time that was noted; undefined where none was, or what is there is no time. */
export function lastTime(files: Files): Date | undefined {
  const time = new Date((files.readText(LAST_TIME_FILE) ?? "").trim());
  return Number.isNaN(time.getTime()) ? undefined : time;
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
