import { tryRun } from "./process.ts";
import { readSystemFile } from "./system-files.ts";

/** Mount points at or below some directories, deepest first, out of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountsBelow(mountinfo: string, directories: string[]): string[] {
  const points = mountinfo
    .split("\n")
    .map((line) => line.split(" ")[4])
    .filter((point) => point !== undefined)
    // Blanks and the like stand as octal escapes.
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
  return points.filter((point) => directories.some((dir) => point.startsWith(`${dir}/`))).reverse();
}

/** Unmounts everything below some directories; says what would not go. */
export function unmountBelow(directories: string[]): string[] {
  const failed: string[] = [];
  for (const point of mountsBelow(readSystemFile("/proc/self/mountinfo"), directories)) {
    if (tryRun("umount", [point]).status === 0) continue;
    // Busy: let go of the name now, and of the rest when its last user ends.
    const out = tryRun("umount", ["-l", point]);
    if (out.status !== 0) failed.push(`${point}: ${out.stderr.trim()}`);
  }
  return failed;
}
