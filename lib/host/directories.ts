import * as fs from "node:fs";
import { dirname, join, resolve } from "node:path";
import { cannot, errno, KubestickError } from "../errors.ts";
import { plainFileSize } from "./plain-file.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
/** The sticky bit (inode(7)). */
const S_ISVTX = 0o1000;
/** As many as the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Makes a directory with its parents, 0755 and the last one with `mode`, whatever the umask is; what is there stays as
 * it is. Gives those that it made, the outermost first. Throws the system's error.
 */
export function makeDirectory(path: string, mode = 0o755): string[] {
  const missing: string[] = [];
  for (let at = path; !fs.existsSync(at); at = dirname(at)) missing.unshift(at);
  return missing.filter((directory) => makeOne(directory, directory === path ? mode : 0o755));
}

/** Makes one directory; false where it is there already, by another process perhaps. */
function makeOne(path: string, mode: number): boolean {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errno(error) === "EEXIST" && fs.existsSync(path)) return false;
    throw error;
  }
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    fs.fchmodSync(fd, mode);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}

/** What is in a directory: directories, and plain files, perhaps behind symbolic links. */
export interface Entry {
  name: string;
  path: string;
  isDirectory: boolean;
}

/** The directories and plain files in a directory, sorted by name; what else there is is left out. Throws the system's error. */
export function entriesOf(path: string): Entry[] {
  return fs
    .readdirSync(path, { withFileTypes: true })
    .map((entry) => ({ name: entry.name, path: join(path, entry.name), isDirectory: entry.isDirectory() }))
    .filter((entry) => entry.isDirectory || plainFileSize(entry.path) !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether a path is a directory, perhaps behind symbolic links. Throws the system's error where nothing is there. */
export const isDirectory = (path: string): boolean => fs.statSync(path).isDirectory();

/** Whether there is nothing in a directory, or no such directory. */
export const isEmptyDirectory = (path: string): boolean => !fs.existsSync(path) || fs.readdirSync(path).length === 0;

/** Whether others than a directory's owner can put something into it. */
const isShared = ({ mode }: fs.Stats): boolean => (mode & 0o022) !== 0;
/** Whether everybody can even replace what is in it: all may write, and nothing keeps them to their own files (sticky bit). */
const isOpenToAll = ({ mode }: fs.Stats): boolean => (mode & 0o002) !== 0 && (mode & S_ISVTX) === 0;

/**
 * Why what is there at a path is not to be trusted: it is in a directory that is shared, such as /tmp, and was put there
 * by somebody else than this user, root, or the directory's owner, who could replace it anyway. Undefined where it is to
 * be trusted. On sticks with a FAT file system, where everything has one owner, that is the directory's.
 */
export function whyForeign(path: string, found: fs.Stats): string | undefined {
  const around = fs.statSync(dirname(path));
  const trusted = [process.geteuid?.(), 0, around.uid];
  if (isShared(around) && !trusted.includes(found.uid)) return `it belongs to another user (${found.uid})`;
  if (!found.isSymbolicLink() && isOpenToAll(found) && !isOpenToAll(around)) return "everybody can write to it";
  return undefined;
}

/**
 * Throws KubestickError when a symbolic link on the way to a path, or at its end, is not to be trusted (see whyForeign):
 * what is written there would come to lie where somebody else wants it. It does not hold against somebody who may replace
 * a directory on the way, and does so after it was looked at: node:fs has no openat(2).
 */
export function refusePlantedLinks(path: string): void {
  let rest = resolve(path).split("/").filter(Boolean);
  for (let at = "/", links = 0; rest.length > 0; ) {
    const [name, ...further] = rest as [string, ...string[]];
    const next = join(at, name);
    const found = fs.lstatSync(next, { throwIfNoEntry: false });
    if (!found) return;
    rest = further;
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    const why = ++links > MAX_LINKS ? "the links do not end" : whyForeign(next, found);
    if (why !== undefined)
      throw new KubestickError(`${path} cannot be used: ${next} is a link on its way, and ${why}`, {
        hint: `look at it (ls -l ${next}), then choose another directory`,
      });
    rest = [...resolve(at, fs.readlinkSync(next)).split("/").filter(Boolean), ...rest];
    at = "/";
  }
}

/**
 * Makes one directory that others can put nothing into, with this mode, or takes the one that is there when it is no link
 * and to be trusted (see whyForeign); that of an existing one is narrowed where nobody else is to look inside (0700).
 * Throws KubestickError when it is not to be trusted, or cannot be made.
 */
export function ownDirectory(path: string, mode: number): void {
  try {
    makeDirectory(dirname(path));
    if (makeOne(path, mode)) return;
    const why = whyNot(path, mode);
    if (why === undefined) return;
    throw new KubestickError(`${path} cannot be used: ${why}`, {
      hint: `look at it, then remove it (rm -r ${path}), or choose a directory that only you can write to`,
    });
  } catch (error) {
    throw cannot(`make the directory ${path}`, error);
  }
}

/** Why a directory that is there is not one's own; undefined where it is, and has no more than its mode then. */
function whyNot(path: string, mode: number): string | undefined {
  if (fs.lstatSync(path).isSymbolicLink()) return "it is a link";
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const found = fs.fstatSync(fd);
    const why = whyForeign(path, found);
    if (why === undefined && (mode & 0o077) === 0 && (found.mode & 0o077) !== 0) fs.fchmodSync(fd, mode);
    return why;
  } finally {
    fs.closeSync(fd);
  }
}
