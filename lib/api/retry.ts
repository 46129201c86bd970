import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, ConnectError } from "./errors.ts";

/** When to give up. One deadline covers every attempt and the pauses between. */
export interface RetryOptions {
  deadline: number;
  /** Until when a refusal (401, 403) may be the server's alone, which does not know these credentials or roles yet. */
  refusalsUntil?: number;
  /** First pause, in milliseconds; it doubles, with jitter, up to ten times as much. */
  pauseMs?: number;
  /** Whether a 403 can pass: the caller's rights were granted a moment ago, or the API server has not loaded them yet. */
  rightsMayCome?: boolean;
  signal?: AbortSignal;
}

/** Whether the same request can succeed a little later: no connection, overload, a server still starting. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ConnectError) return error.passing;
  return error instanceof ApiError && (error.status === 429 || error.status >= 500);
}

/** Whether a server refused these credentials, or these rights. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

/** Tries until it works, until the error is not transient, or until the deadline; then throws the last error. */
export async function retry<T>(attempt: (remainingMs: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const first = options.pauseMs ?? 100;
  for (let pause = first; ; pause = Math.min(pause * 2, first * 10)) {
    try {
      return await attempt(Math.max(1, options.deadline - Date.now()));
    } catch (error) {
      const passes = isTransient(error) || (isRefusal(error) && Date.now() < (options.refusalsUntil ?? 0));
      const asked = error instanceof ApiError ? error.retryAfterMs : undefined;
      const wait = asked ?? pause * (0.5 + Math.random());
      if (!passes || options.signal?.aborted || Date.now() + wait >= options.deadline) throw error;
      await sleep(wait, undefined, { signal: options.signal });
    }
  }
}
