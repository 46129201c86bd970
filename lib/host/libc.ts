import { dlopen, FFIType, read } from "bun:ffi";
import { constants } from "node:os";

/** Why a system call failed, as an errno name; undefined where it did not. */
type Failure = string | undefined;

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** LOCK_EX | LOCK_NB (sys/file.h). */
const LOCK_EXCLUSIVE_NOW = 2 | 4;
/** UMOUNT_NOFOLLOW and MNT_DETACH (sys/mount.h). */
const UMOUNT_NOFOLLOW = 8;
const MNT_DETACH = 2;

let opened: ReturnType<typeof open> | undefined;

function open() {
  // musl's loader takes this name for itself, too (ldso/dynlink.c, load_library).
  return dlopen("libc.so.6", {
    flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    umount2: { args: [FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    __errno_location: { args: [], returns: FFIType.ptr },
  }).symbols;
}

/** Calls into libc. A runtime without its compiler (BUN_JSC_useJIT=0) cannot, and fails with ENOSYS. */
function call(run: (libc: ReturnType<typeof open>) => number): Failure {
  try {
    opened ??= open();
  } catch {
    return "ENOSYS";
  }
  if (run(opened) === 0) return undefined;
  const number = read.i32(opened.__errno_location()!, 0);
  return NAMES.get(number) ?? `errno ${number}`;
}

/** The errno name of a lock that somebody else has. */
export const LOCKED = NAMES.get(constants.errno.EWOULDBLOCK)!;

/**
 * Takes an open file's exclusive lock, or gives at once the errno name of why it cannot be had, LOCKED where another open
 * file has it (flock(2)). The kernel lets go of it when the last process that has this file open ends.
 */
export const lockNow = (fd: number): Failure => call((libc) => libc.flock(fd, LOCK_EXCLUSIVE_NOW));

/** Unmounts what is mounted at a path, which is not followed where it is a link; gives the errno name of why not (umount2(2)). */
export const unmount = (path: string, detach = false): Failure =>
  call((libc) => libc.umount2(Buffer.from(`${path}\0`), UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)));
