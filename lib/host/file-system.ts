import { accessSync, constants, existsSync, realpathSync, statfsSync } from "node:fs";
import { dirname } from "node:path";

/** The file system that a path lies on. */
export interface FileSystem {
  mountPoint: string;
  /** As mount(8) names it: ext4, xfs, nfs4. */
  type: string;
}

/** The file system of a path, out of /proc/self/mountinfo (proc_pid_mountinfo(5)); undefined where the text has none. */
export function fileSystemOf(mountinfo: string, path: string): FileSystem | undefined {
  let found: FileSystem | undefined;
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const [point, type] = [unescaped(fields[4] ?? ""), fields[fields.indexOf("-") + 1]];
    if (!point.startsWith("/") || type === undefined || fields.indexOf("-") < 6) continue;
    const above = point === "/" || path === point || path.startsWith(`${point}/`);
    // Of several at one place the last hides the others.
    if (above && point.length >= (found?.mountPoint.length ?? 0)) found = { mountPoint: point, type };
  }
  return found;
}

/** Blanks and the like stand as octal escapes. */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Where a path leads, links resolved; of what is not there yet, the directory that will hold it. */
export function placeOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === "/" ? path : placeOf(dirname(path));
  }
}

/** Whether there is anything at a path, links followed. */
export const isThere = (path: string): boolean => existsSync(path);

/** What is free for everybody on the file system of a path, in bytes. Throws the system's error. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Whether this user may write to what is there: no on a read-only file system, too. */
export function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
