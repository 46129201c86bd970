import { PROCESS_CLOCK, untilItWorks } from "../util/until.ts";
import { ApiError, ConnectError } from "./errors.ts";

/** When to give up. Times are in milliseconds. */
export interface RetryOptions {
  /** For every attempt and the pauses between. */
  limitMs: number;
  /** How long a refusal (401, 403) may be the server's alone, which does not know these credentials or roles yet. */
  refusalsPassMs?: number;
  signal?: AbortSignal;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/** Whether the same request can succeed a little later: no connection, overload, a server still starting. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ConnectError) return error.passing;
  return error instanceof ApiError && (error.status === 429 || error.status >= 500);
}

/** Whether a server refused these credentials, or these rights. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

/**
 * Tries until it works, until the error is not transient, or until the time is up; then throws the last error. A pause is
 * as long as the server asked for (Retry-After), where it did.
 */
export function retry<T>(attempt: (remainingMs: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const refusalsUntil = PROCESS_CLOCK.now() + (options.refusalsPassMs ?? 0);
  return untilItWorks(attempt, {
    limitMs: options.limitMs,
    pauseMs: FIRST_PAUSE_MS,
    longestPauseMs: LONGEST_PAUSE_MS,
    signal: options.signal,
    passes: (error) => {
      if (!isTransient(error) && !(isRefusal(error) && PROCESS_CLOCK.now() < refusalsUntil)) return false;
      return (error instanceof ApiError ? error.retryAfterMs : undefined) ?? true;
    },
  });
}
