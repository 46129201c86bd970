/** That something took longer than it may. */
export class TooLateError extends Error {
  override name = "TooLateError";
  readonly code = "ETIMEDOUT";

  constructor(readonly limitMs: number) {
    super(`no whole answer within ${Math.max(1, Math.round(limitMs / 1000))} s`);
  }
}

/**
 * What `work` gives, or TooLateError once `limitMs` have passed, whatever it waits for then: its signal is aborted, and
 * what it still does is its own affair. A signal of the caller's aborts it too, with its reason as the error.
 */
export async function within<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const inner = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => undefined);
  const end = (why: unknown) => {
    reject(why);
    inner.abort(why);
  };
  const onAbort = () => end(outer!.reason);
  const timer = setTimeout(() => end(new TooLateError(limitMs)), limitMs);
  outer?.addEventListener("abort", onAbort, { once: true });
  if (outer?.aborted) onAbort();
  try {
    const result = work(inner.signal);
    result.catch(() => undefined);
    return await Promise.race([result, ended]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", onAbort);
  }
}
