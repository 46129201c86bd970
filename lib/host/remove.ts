import * as fs from "node:fs";
import { basename, dirname } from "node:path";
import { errno, reason } from "../errors.ts";
import { readSystemFile } from "./system-files.ts";

const DIRECTORY = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;

/** What mkfs makes in the root of a file system, and fsck uses. */
const LOST_FOUND = "lost+found";
/** Of a disk that gives nothing away not every file is told. */
const MAX_TOLD = 20;

/** What was left where it is, and why. */
export interface Left {
  path: string;
  why: string;
}

/** An open directory, and the id of the mount that it lies on. */
interface Directory {
  fd: number;
  mount: string;
}

/**
 * Removes a file, a link itself, or a directory with all that is in it. No link is followed and no mount is crossed, bind
 * mounts of the same file system included: every directory is opened from the one that it is in (by way of
 * /proc/self/fd, which does openat(2)'s work), and must lie on the same mount, by the id that the kernel has for what is
 * open (proc_pid_fdinfo(5)). So it makes no difference what others rename, link or mount meanwhile. Of a mount point only
 * what is in it is removed. Links on the way to `path` are followed. Gives what was left; nothing where nothing is.
 */
export const removeTree = (path: string): Left[] =>
  fromParent(path, (parent, name, told) => {
    const found = open(parent, name);
    if (typeof found === "string") return void (found === "ENOTDIR" && unlink(parent, name, path, told));
    const isMountPoint = found.mount !== parent.mount;
    const empty = clear(found, path, told, isMountPoint ? LOST_FOUND : undefined);
    if (empty && !isMountPoint)
      told.add(
        path,
        failureOf(() => fs.rmdirSync(inside(parent, name))),
      );
  });

/** Removes what is in a directory, in the way of removeTree; the directory stays. One that is a link is not followed, and left. */
export const emptyDirectory = (path: string): Left[] =>
  fromParent(path, (parent, name, told) => {
    const found = open(parent, name);
    if (typeof found === "string") told.add(path, found);
    else clear(found, path, told, found.mount === parent.mount ? undefined : LOST_FOUND);
  });

/** Removes a file or link below a directory, with no link on the way between them. A directory is left. Gives what was left. */
export const removeFileBelow = (directory: string, path: string): Left[] =>
  insideBelow(directory, path, (name) => fs.unlinkSync(name));

/**
 * Does something to a path below a directory, with no link on the way between them: `run` is given a name for system calls
 * that leads there whatever others rename or link meanwhile, and the directory that it is in, open. With `make` the
 * directories on the way are made, 0755. What `run` throws, ENOENT excepted, is given as what was left.
 */
export function insideBelow(
  directory: string,
  path: string,
  run: (name: Buffer, directory: number) => void,
  options: { make?: boolean } = {},
): Left[] {
  const told = new Told();
  const parts = Buffer.from(path.slice(directory.length)).toString("latin1").split("/").filter(Boolean);
  let at = openPath(directory);
  for (const part of parts.slice(0, -1)) {
    if (typeof at === "string") break;
    const above = at;
    if (options.make) failureOf(() => fs.mkdirSync(inside(above, part), 0o755));
    at = open(above, part);
    fs.closeSync(above.fd);
  }
  if (typeof at === "string") {
    told.add(path, at === "ENOTDIR" ? "a link or a file is on its way" : at);
    return told.left;
  }
  const parent = at;
  told.add(
    path,
    failureOf(() => run(inside(parent, parts.at(-1) ?? "."), parent.fd)),
  );
  fs.closeSync(parent.fd);
  return told.left;
}

/** Collects what was left, the first of it. */
class Told {
  readonly left: Left[] = [];
  #more = 0;

  /** Notes a failure; undefined and ENOENT are none. */
  add(path: string, failure: string | undefined): void {
    if (failure === undefined || failure === "ENOENT") return;
    if (this.left.length < MAX_TOLD) this.left.push({ path, why: REASONS[failure] ?? failure });
    else this.left[MAX_TOLD] = { path: `${++this.#more} more`, why: "as these" };
  }
}

const REASONS: Record<string, string> = {
  EACCES: "this user may not remove it",
  EBUSY: "something is mounted on it, or it is in use",
  ENOTDIR: "it is a link, or no directory",
  ENOTEMPTY: "something was put there meanwhile",
  EPERM: "it is protected from being changed (lsattr shows it)",
  EROFS: "the file system is read-only",
  EISDIR: "it is a directory",
  MOUNT: "something is mounted on it",
  MOVED: "it was moved away meanwhile",
};

function fromParent(path: string, run: (parent: Directory, name: string, told: Told) => void): Left[] {
  const told = new Told();
  const parent = openPath(dirname(path));
  if (typeof parent === "string") {
    told.add(path, parent === "ENOTDIR" ? undefined : parent);
    return told.left;
  }
  try {
    run(parent, Buffer.from(basename(path)).toString("latin1"), told);
  } finally {
    fs.closeSync(parent.fd);
  }
  return told.left;
}

/** A name in an open directory, for system calls. Names are kept as bytes, one a character: they need not be UTF-8. */
const inside = (directory: Directory, name: string) => Buffer.from(`/proc/self/fd/${directory.fd}/${name}`, "latin1");

/** Opens a directory by its path, whose links are followed; or gives the errno name of why not. */
const openPath = (path: string) => opened(() => fs.openSync(path, DIRECTORY & ~fs.constants.O_NOFOLLOW));
/** Opens a directory in an open one; a link or a file gives ENOTDIR. */
const open = (directory: Directory, name: string) => opened(() => fs.openSync(inside(directory, name), DIRECTORY));

function opened(how: () => number): Directory | string {
  try {
    const fd = how();
    const mount = /^mnt_id:\s*(\d+)$/m.exec(readSystemFile(`/proc/self/fdinfo/${fd}`))?.[1];
    if (mount !== undefined) return { fd, mount };
    fs.closeSync(fd);
    return "its mount cannot be told (is /proc mounted?)";
  } catch (error) {
    return errno(error) === "ELOOP" ? "ENOTDIR" : (errno(error) ?? reason(error));
  }
}

function failureOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return errno(error) ?? reason(error);
  }
}

const unlink = (directory: Directory, name: string, path: string, told: Told) =>
  told.add(
    path,
    failureOf(() => fs.unlinkSync(inside(directory, name))),
  );

/** A directory on the way down: what is still to be removed of it, and how to know it again. */
interface Level {
  name: string;
  names: string[];
  empty: boolean;
  identity: string;
}

/**
 * Removes what is in an open directory, and closes it; gives whether it is empty. However deep it goes, two directories are
 * open at a time: the one above is reached again by `..`, and must still be the same one.
 */
function clear(top: Directory, path: string, told: Told, keep?: string): boolean {
  const levels: Level[] = [];
  const pathOf = (name = "") =>
    [path, ...[...levels.slice(1).map((level) => level.name), name].map(utf8)].filter(Boolean).join("/");
  const leave = (name: string, failure: string) => {
    levels.at(-1)!.empty = false;
    told.add(pathOf(name), failure);
  };
  let here = top;
  try {
    levels.push(levelOf(top, "", keep));
    for (;;) {
      const level = levels.at(-1)!;
      const name = level.names.pop();
      if (name === undefined) {
        levels.pop();
        const above = levels.at(-1);
        if (!above) return level.empty;
        const parent = open(here, "..");
        if (typeof parent === "string" || identityOf(parent) !== above.identity) {
          if (typeof parent !== "string") fs.closeSync(parent.fd);
          leave(level.name, "MOVED");
          return false;
        }
        fs.closeSync(here.fd);
        here = parent;
        const failure = level.empty ? failureOf(() => fs.rmdirSync(inside(here, level.name))) : undefined;
        if (!level.empty) above.empty = false;
        else if (failure !== undefined && failure !== "ENOENT") leave(level.name, failure);
        continue;
      }
      const failure = failureOf(() => fs.unlinkSync(inside(here, name)));
      if (failure === undefined || failure === "ENOENT") continue;
      const below = failure === "EISDIR" ? open(here, name) : failure;
      if (typeof below === "string") {
        if (below !== "ENOENT") leave(name, below);
      } else if (below.mount !== top.mount) {
        fs.closeSync(below.fd);
        leave(name, "MOUNT");
      } else {
        fs.closeSync(here.fd);
        here = below;
        levels.push(levelOf(below, name));
      }
    }
  } catch (error) {
    // The directory that it stands in cannot be read.
    told.add(pathOf(), errno(error) ?? reason(error));
    return false;
  } finally {
    fs.closeSync(here.fd);
  }
}

const utf8 = (name: string) => Buffer.from(name, "latin1").toString("utf8");

const levelOf = (directory: Directory, name: string, keep?: string): Level => ({
  name,
  names: fs.readdirSync(inside(directory, ""), { encoding: "latin1" }).filter((entry) => entry !== keep),
  empty: true,
  identity: identityOf(directory),
});

function identityOf({ fd, mount }: Directory): string {
  const { dev, ino } = fs.fstatSync(fd, { bigint: true });
  return `${mount} ${dev} ${ino}`;
}
