import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { LOCK_FILE } from "../constants/paths.ts";
import { cannot, errno, KubestickError } from "../errors.ts";
import { makeDirectory, refusePlantedLinks, whyForeign } from "./directories.ts";
import type { Files } from "./files.ts";
import { LOCKED, lockNow } from "./libc.ts";
import { hiddenPrefix } from "./new-file.ts";
import { processStart } from "./system-files.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;

const MAX_NOTE_BYTES = 4096;
/** How often what another process made or took away at the same moment is looked at again. */
const MAX_TRIES = 20;
/** Whoever took a lock notes at once who it is; a reader that came between waits for it. */
const PAUSE_MS = 10;

/** A lock that is held until it is disposed of (`using`) or this process ends, however it ends: the kernel holds it (flock(2)). */
export type Lock = Disposable;

/** Why there is nothing to lock: whatever is written there fails for the same reason; a reset of a full disk goes on. */
const CANNOT_WRITE = ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT"];

const NO_LOCK: Lock = { [Symbol.dispose]: () => undefined };

/** Who holds a lock, as it notes it in the lock's file. */
interface Holder {
  pid: number;
  /** See processStart. */
  start: string;
  command: string;
  since: string;
}

/**
 * The lock on a host's state, one for each root: whoever changes the host's files holds it. There is none to hold in a
 * dry run, or where nothing can be written. Throws KubestickError, which says who holds it.
 */
export function lockHost(files: Files): Lock {
  if (files.keepsWrites) return NO_LOCK;
  const path = files.real(LOCK_FILE);
  for (let tries = 1; ; tries++) {
    let made: string[] = [];
    try {
      made = makeDirectory(dirname(path));
      // One that is there goes too when a reset has emptied it, which cannot remove it while the lock is in it.
      const emptied = made.length > 0 ? made : [dirname(path)];
      return takeLock(path, files.root === "/" ? "this host" : files.root, emptied);
    } catch (error) {
      removeEmpty(made);
      const code = errno(error) ?? "";
      if (CANNOT_WRITE.includes(code)) return NO_LOCK;
      // One that ended at the same moment took the directory away.
      if (code !== "ENOENT" || tries === MAX_TRIES) throw cannot(`lock ${path}`, error);
    }
  }
}

/**
 * The lock on a file that is to be written, or on the directory of a name: beside it, so that it holds for every process
 * that can write there. Throws KubestickError when another kubestick writes it, or nothing can be written there.
 */
export function lockTarget(target: string): Lock {
  try {
    refusePlantedLinks(dirname(target));
    return takeLock(join(dirname(target), `${hiddenPrefix(target)}lock`), target);
  } catch (error) {
    throw cannot(`write ${target}`, error);
  }
}

/** Takes a lock; when it is let go of, those of `directories` go that are empty then. */
function takeLock(path: string, what: string, directories: string[] = []): Lock {
  for (let tries = 1; ; tries++) {
    const fd = openLock(path);
    const failure = lockNow(fd);
    if (failure === undefined && isAt(path, fd)) {
      note(fd);
      return { [Symbol.dispose]: () => release(path, fd, directories) };
    }
    const holder = failure === LOCKED ? readHolder(fd) : undefined;
    fs.closeSync(fd);
    // The one that held it let go of it, and took its file away, between the opening and the locking.
    if (failure === undefined && tries < MAX_TRIES) continue;
    if (failure !== undefined && failure !== LOCKED)
      throw new KubestickError(`${path} cannot be locked (${failure})`, {
        hint: "use a directory on a local file system, and leave BUN_JSC_useJIT out of the environment",
      });
    if (holder !== undefined || tries >= MAX_TRIES) throw heldBy(what, holder);
    Bun.sleepSync(PAUSE_MS);
  }
}

/** Opens a lock's file, made where there is none. Throws KubestickError when what is there was put there by somebody else. */
function openLock(path: string): number {
  for (let tries = 1; ; tries++) {
    try {
      return fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    } catch (error) {
      if (errno(error) !== "EEXIST") throw error;
    }
    let fd: number;
    try {
      // Without O_CREAT: a kernel that protects shared directories (fs.protected_regular) would not say whose it is.
      fd = fs.openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (errno(error) === "ELOOP") throw planted(path, "it is a link");
      // It was taken away at this moment.
      if (errno(error) === "ENOENT" && tries < MAX_TRIES) continue;
      throw error;
    }
    const found = fs.fstatSync(fd);
    const why = !found.isFile() || found.nlink > 1 ? "it is no plain file" : whyForeign(path, found);
    if (why === undefined) return fd;
    fs.closeSync(fd);
    throw planted(path, why);
  }
}

const planted = (path: string, why: string) =>
  new KubestickError(`${path} is in the place of kubestick's lock, and is not kubestick's: ${why}`, {
    hint: `remove it (rm ${path}), or write into a directory that only you can write to`,
  });

/** Whether a path still leads to an open file. */
function isAt(path: string, fd: number): boolean {
  const [there, held] = [fs.lstatSync(path, { throwIfNoEntry: false }), fs.fstatSync(fd)];
  return there?.ino === held.ino && there.dev === held.dev;
}

function note(fd: number): void {
  const holder: Holder = {
    pid: process.pid,
    start: processStart("self") ?? "",
    command: ownCommand(),
    since: new Date().toISOString(),
  };
  try {
    fs.ftruncateSync(fd);
    fs.writeSync(fd, `${JSON.stringify(holder)}\n`, 0);
  } catch {
    // A full disk: it is locked all the same.
  }
}

/** The words that this command line begins with: what follows them may be a token or a key. */
function ownCommand(): string {
  const words = process.argv.slice(2);
  const end = words.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  return ["kubestick", ...words.slice(0, end === -1 ? words.length : end)].join(" ");
}

/** Who holds a lock; undefined where it has not said so yet. What an earlier holder said does not count. */
function readHolder(fd: number): Holder | undefined {
  try {
    const buffer = Buffer.alloc(MAX_NOTE_BYTES);
    const { pid, start, command, since } = JSON.parse(
      buffer.toString("utf8", 0, fs.readSync(fd, buffer, 0, buffer.length, 0)),
    ) as Record<keyof Holder, unknown>;
    const known = typeof pid === "number" && typeof command === "string" && typeof since === "string";
    return known && processStart(pid) === start ? { pid, start: String(start), command, since } : undefined;
  } catch {
    return undefined;
  }
}

function heldBy(what: string, holder: Holder | undefined): KubestickError {
  const who = holder
    ? `process ${holder.pid} (${holder.command}), since ${holder.since}`
    : "one that cannot be seen from here";
  return new KubestickError(`another kubestick is changing ${what}: ${who}`, {
    code: "busy",
    hint: `wait until it has ended, then run the same command again${holder ? `; if it hangs, end it: kill ${holder.pid}` : ""}`,
  });
}

function release(path: string, fd: number, directories: string[]): void {
  try {
    if (isAt(path, fd)) fs.unlinkSync(path);
  } catch {
    // It stays, and the next one takes it.
  }
  fs.closeSync(fd);
  removeEmpty(directories);
}

function removeEmpty(directories: string[]): void {
  for (const directory of directories.toReversed()) {
    try {
      fs.rmdirSync(directory);
    } catch {
      // Something is in it by now.
    }
  }
}
