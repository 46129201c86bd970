import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, ConnectError } from "./errors.ts";

/** When to give up. One deadline covers every attempt and the pauses between. */
export interface RetryOptions {
  deadline: number;
  /** First pause, in milliseconds; it doubles, with jitter, up to ten times as much. */
  pauseMs?: number;
  /** Whether a 403 can pass: the caller's rights were granted a moment ago, or the API server has not loaded them yet. */
  rightsMayCome?: boolean;
  signal?: AbortSignal;
}

/**
 * Whether the same request can succeed a little later: no connection, overload, a server still starting. A 403 is final
 * unless `rightsMayCome`.
 */
export function isTransient(error: unknown, rightsMayCome = false): boolean {
  if (error instanceof ConnectError) return !error.tls;
  if (!(error instanceof ApiError)) return false;
  return error.status === 429 || error.status >= 500 || (error.status === 403 && rightsMayCome);
}

/** Tries until it works, until the error is not transient, or until the deadline; then throws the last error. */
export async function retry<T>(attempt: (remainingMs: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const first = options.pauseMs ?? 100;
  for (let pause = first; ; pause = Math.min(pause * 2, first * 10)) {
    try {
      return await attempt(Math.max(1, options.deadline - Date.now()));
    } catch (error) {
      const asked = error instanceof ApiError ? error.retryAfterMs : undefined;
      const wait = asked ?? pause * (0.5 + Math.random());
      if (
        !isTransient(error, options.rightsMayCome) ||
        options.signal?.aborted ||
        Date.now() + wait >= options.deadline
      )
        throw error;
      await sleep(wait, undefined, { signal: options.signal });
    }
  }
}
