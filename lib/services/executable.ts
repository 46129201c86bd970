import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { keepExecutable } from "../bundle/attach.ts";
import { inspectExecutable } from "../bundle/payload.ts";
import { OWN_EXECUTABLE } from "../constants/paths.ts";
import { makeDirectory } from "../host/directories.ts";

/** What runs from source under Bun, also where a program of somebody's uses kubestick as a library. */
const COMMAND_LINE = join(import.meta.dir, "../../cmd/kubestick.ts");

/** Whether this is a compiled executable; else it runs from source under Bun. */
export function isCompiled(): boolean {
  return Bun.main.startsWith("/$bunfs/");
}

/**
 * The command that runs this kubestick again, later and detached. A compiled one is first kept in the
 * state directory, without its bundle: it was perhaps started from a USB stick, which will be pulled.
 */
export function stableExecutable(): string[] {
  if (!isCompiled()) return [process.execPath, COMMAND_LINE];
  if (process.execPath === OWN_EXECUTABLE) return [OWN_EXECUTABLE];
  const [own, there] = [fs.statSync(process.execPath), fs.statSync(OWN_EXECUTABLE, { throwIfNoEntry: false })];
  if (there?.size !== inspectExecutable(process.execPath).executableBytes || there.mtimeMs < own.mtimeMs) {
    makeDirectory(dirname(OWN_EXECUTABLE));
    keepExecutable(process.execPath, OWN_EXECUTABLE);
  }
  return [OWN_EXECUTABLE];
}
