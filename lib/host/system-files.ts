import { readdirSync } from "node:fs";
import { readPlainText } from "./plain-file.ts";

/** The text of a file of this machine's kernel or its own configuration; empty where it cannot be read. */
export function readSystemFile(path: string): string {
  try {
    return readPlainText(path);
  } catch {
    return "";
  }
}

/** The ids of the processes that this process' namespace sees, as names below /proc. */
export function processIds(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/**
 * When a process began, in clock ticks after the kernel did (proc_pid_stat(5), field 22); undefined where none has this id. With it an
 * id is known again: the kernel gives the ids of processes that ended to others.
 */
export function processStart(pid: number | "self"): string | undefined {
  const text = readSystemFile(`/proc/${pid}/stat`);
  // The program's name is in parentheses and may hold blanks and parentheses itself.
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}
