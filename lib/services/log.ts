import * as fs from "node:fs";
import { oneLine } from "../ui/text.ts";
import { logFile } from "./places.ts";

const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** Adds a line with the time to a service's log. Never throws: a full disk is no reason to let a service go. */
export function note(name: string, text: string): void {
  try {
    fs.appendFileSync(logFile(name), `${new Date().toISOString()} ${oneLine(text)}\n`);
  } catch {
    // There is nowhere else to say it.
  }
}

/** Opens a service's log for its program to write to; the caller closes it. Throws where that cannot be. */
export function openLog(name: string): number {
  rotate(name);
  return fs.openSync(logFile(name), "a", 0o640);
}

/** Keeps one old log. A program holds the file open for appending, so the contents are copied and cut, not renamed. */
export function rotate(name: string): void {
  const path = logFile(name);
  try {
    if (fs.statSync(path).size <= MAX_LOG_BYTES) return;
    fs.copyFileSync(path, `${path}.1`);
    fs.truncateSync(path);
  } catch {
    // No log yet, or no space to keep it.
  }
}
