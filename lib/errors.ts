import type { ErrorCode } from "./constants/error-codes.ts";

/** Exit codes of every kubestick command. */
export const EXIT = { done: 0, failed: 1, usage: 2, preflight: 3 } as const;

/** What an exit code says by itself. */
const EXIT_CODES: Record<number, ErrorCode> = { [EXIT.usage]: "usage", [EXIT.preflight]: "preflight" };

/**
 * An error for the person at the console: what failed and why (`message`), and what to type or change next (`hint`).
 * It is printed without a stack trace; any other error is a bug in kubestick.
 */
export class KubestickError extends Error {
  override name = "KubestickError";
  readonly hint: string | undefined;
  readonly exitCode: number;
  /** For programs; without one it is its cause's. */
  readonly code: ErrorCode;

  constructor(message: string, options: { hint?: string; exitCode?: number; code?: ErrorCode; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.code = options.code ?? EXIT_CODES[this.exitCode] ?? codeOf(options.cause);
  }
}

/** The code of what was thrown: its own, or by its errno name; `failed` where neither says more. */
function codeOf(error: unknown): ErrorCode {
  if (error instanceof KubestickError) return error.code;
  const name = (errno(error) ?? "").replace(/^ERR_FS_/, "");
  return /^E[A-Z0-9]+$/.test(name) ? (ERRNO_CODES[name] ?? "system") : "failed";
}

/** A command line or configuration that cannot be used (exit code 2). */
export class UsageError extends KubestickError {
  override name = "UsageError";

  constructor(message: string, hint?: string) {
    super(message, { hint, exitCode: EXIT.usage });
  }
}

/** The one-line reason of anything that was thrown. */
export function reason(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}

/** The errno name (ENOENT, ECONNREFUSED, …) of a system error, or undefined. */
export function errno(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** The advice to move a file away that is in kubestick's way. */
export function moveAway(path: string, purpose = ""): string {
  return `move it away (mv ${path} ${path}.old)${purpose ? ` ${purpose}` : ""} and run the same command again`;
}

/** What to do about a failing disk or missing rights, by errno name. */
export const DISK_HINTS: Record<string, string> = {
  EACCES: "run the same command as root (sudo)",
  EPERM: "run the same command as root (sudo)",
  EDQUOT: "the disk quota is used up; free some space, then run the same command again",
  EIO: "the disk or stick fails; connect it again or use another, then run the same command again",
  ENOSPC: "free some space (df -h shows what is full), then run the same command again",
  EROFS: "the file system is read-only; remount it writable (mount -o remount,rw) and run the same command again",
};

/** Codes of the errno names that say what to do; the others are `system`. */
const ERRNO_CODES: Record<string, ErrorCode> = {
  ENOENT: "not-found",
  EACCES: "permission",
  EPERM: "permission",
  EDQUOT: "disk-full",
  ENOSPC: "disk-full",
  EIO: "disk",
  EROFS: "disk",
  ETIMEDOUT: "timeout",
};

/**
 * A failure of the system below kubestick (a file, a disk, a socket, a program) that nothing nearer to it has explained,
 * as an error for the person at the console; undefined for anything else.
 */
export function systemError(error: unknown): KubestickError | undefined {
  if (error instanceof KubestickError) return undefined;
  const code = (errno(error) ?? "").replace(/^ERR_FS_/, "");
  // Paths out of a file may hold NUL, which ends a name for the kernel (path_resolution(7)).
  const nul = code === "ERR_INVALID_ARG_VALUE" && reason(error).includes("without null bytes");
  if (!nul && !/^E[A-Z0-9]+$/.test(code)) return undefined;
  const path = (error as { path?: unknown } | null)?.path;
  const named = typeof path === "string" && !reason(error).includes(path) ? ` (${path})` : "";
  return new KubestickError(`${reason(error)}${named}`, {
    hint: DISK_HINTS[code] ?? "is what the message names there, and of the right kind? ls -l shows it",
    cause: error,
  });
}

/**
 * What could not be done (`write /etc/x`) and why, as an error for the person at the console; one that is that already
 * stays as it is.
 */
export function cannot(what: string, error: unknown): KubestickError {
  if (error instanceof KubestickError) return error;
  // The system's message goes on with its call, and a name that is perhaps only a temporary file's.
  const why = reason(error).replace(/, \w+( '[^']*'( -> '[^']*')?)?$/, "");
  return new KubestickError(`cannot ${what}: ${why}`, { hint: DISK_HINTS[errno(error) ?? ""], cause: error });
}
