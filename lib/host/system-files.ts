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
