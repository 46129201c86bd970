import * as fs from "node:fs";
import { untilMaybe } from "../util/until.ts";
import { unmount } from "./libc.ts";
import type { Left } from "./remove.ts";
import { processIds, readSystemFile } from "./system-files.ts";

/** What ends with its last user may still do so. */
const BUSY_MS = 5_000;
const PAUSE_MS = 200;
const MAX_USERS = 3;
/** File systems that the kubelet and container runtimes make for a pod or a container, and that keep nothing. */
const PASSING = new Set(["tmpfs", "overlay", "nsfs", "mqueue"]);
/** Whether it is one of these, and not a directory of such a file system that somebody keeps data in. */
const isPassing = ({ type, root }: Mount) => PASSING.has(type) && (root === "/" || type === "nsfs");

/** A mount: where it is, of which file system type, and what of that file system: `/` for all of it. */
export interface Mount {
  point: string;
  type: string;
  root: string;
}

/** The mounts below some directories, the last one made first, out of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountsBelow(mountinfo: string, directories: string[]): Mount[] {
  return mountinfo
    .split("\n")
    .map((line) => line.split(" "))
    .filter((fields) => fields.length > 6)
    .map((fields) => ({
      point: unescaped(fields[4]!),
      type: fields[fields.indexOf("-", 6) + 1] ?? "",
      root: unescaped(fields[3]!),
    }))
    .filter(({ point }) => directories.some((dir) => point.startsWith(`${dir}/`)))
    .reverse();
}

/** Blanks and the like stand as octal escapes. */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * Unmounts everything below some directories, which are given without links on their way. What is in use is tried again
 * for some seconds; after that only what nobody can lose anything with is let go of while it is used. Gives what stays mounted.
 */
export async function unmountBelow(directories: string[]): Promise<Left[]> {
  const mounts = () => mountsBelow(readSystemFile("/proc/self/mountinfo"), directories);
  const failures = new Map<string, string>();
  /** Tries each once; gives whether another turn may do more. */
  const turn = () => {
    const found = mounts();
    failures.clear();
    for (const { point } of found) {
      const failure = unmount(point);
      if (failure !== undefined) failures.set(point, failure);
    }
    // Others may have come to light below those that went.
    return found.length > failures.size || [...failures.values()].includes("EBUSY");
  };
  await untilMaybe(() => !turn(), { limitMs: BUSY_MS, pauseMs: PAUSE_MS });
  const passing = mounts().filter(isPassing);
  for (const { point } of passing) unmount(point, true);
  if (passing.length > 0) turn();
  return mounts().map(({ point, type }) => ({
    path: point,
    why: `it is still mounted (${type}): ${whyMounted(point, failures.get(point))}`,
  }));
}

function whyMounted(point: string, failure: string | undefined): string {
  if (failure !== "EBUSY") return failure ?? "it was mounted again";
  const users = usersOf(point);
  return users.length > 0 ? `in use by ${users.join(", ")}` : "in use";
}

/** Processes that have something open below a mount point, or stand in it, as `PID (name)`. */
function usersOf(point: string): string[] {
  const users: string[] = [];
  const below = (path: string) => path === point || path.startsWith(`${point}/`);
  for (const pid of processIds()) {
    if (users.length === MAX_USERS) break;
    const links = [`/proc/${pid}/cwd`, `/proc/${pid}/root`, `/proc/${pid}/exe`, ...openFiles(pid)];
    if (links.some((link) => below(linkTarget(link))))
      users.push(`${pid} (${readSystemFile(`/proc/${pid}/comm`).trim()})`);
  }
  return users;
}

function openFiles(pid: string): string[] {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
  } catch {
    // It has ended.
    return [];
  }
}

function linkTarget(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}
