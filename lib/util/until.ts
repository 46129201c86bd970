import { setTimeout as pause } from "node:timers/promises";
import { KubestickError } from "../errors.ts";

/** What time is read from and spent with. Tests bring their own. */
export interface Clock {
  /** Milliseconds since some moment; never goes back, also where the host's clock is set. */
  now(): number;
  /** Waits so many milliseconds. Rejects with the signal's reason once that is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number from 0 to 1, as Math.random. */
  random(): number;
}

/** The time of this process. The monotonic one: a board's clock is put right by decades while something is waited for. */
export const PROCESS_CLOCK: Clock = {
  now: () => performance.now(),
  random: Math.random,
  async sleep(ms, signal) {
    try {
      await pause(ms, undefined, { signal });
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};

/**
 * Pauses that double from the first to the longest, each half as long to half as long again (jitter), so that those
 * who were turned away together do not come back together.
 */
export class Pauses {
  readonly #first: number;
  readonly #longest: number;
  readonly #random: () => number;
  #next: number;

  /** In milliseconds; without a longest one they do not grow. */
  constructor(firstMs: number, longestMs = firstMs, random: () => number = Math.random) {
    [this.#first, this.#longest, this.#random, this.#next] = [firstMs, longestMs, random, firstMs];
  }

  /** The next pause in milliseconds. */
  next(): number {
    const next = this.#next;
    this.#next = Math.min(next * 2, this.#longest);
    return next * (0.5 + this.#random());
  }

  /** Begins with the first again: what was waited for has got further. */
  restart(): void {
    this.#next = this.#first;
  }
}

/** How `until` waits. Times are in milliseconds. */
export interface UntilOptions {
  /** For all of it. The first try is always made, and no other begins later than this. */
  limitMs: number;
  /** The first pause; they double up to `longestPauseMs`, which is the first where it is not given. */
  pauseMs: number;
  longestPauseMs?: number;
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal;
  /** The message of the KubestickError when the time is up: "the kubelet does not answer after 60 s". */
  what?: string;
  /** Its hint: what to type then. */
  hint?: string;
  /** The error when the time is up, in place of one made of `what`; `last` is what the last try threw, if it threw. */
  late?: (last: unknown) => unknown;
  /**
   * Whether what a try threw can pass; a number is the pause that its sender asked for. Without it nothing passes. When
   * the time is up and there is neither `late` nor `what`, the last such error is thrown.
   */
  passes?: (error: unknown) => boolean | number;
  /** Told before each pause, for a live line; `last` is what the last try threw, if it threw. */
  waiting?: (last: unknown) => void;
  clock?: Clock;
}

/**
 * Tries until it gives something, and gives that: `undefined` and `false` are "not yet". `attempt` is told how many
 * milliseconds are left, at least one. Throws what `attempt` throws unless it passes, and KubestickError or the caller's
 * own error when the time is up.
 */
export async function until<T>(
  attempt: (remainingMs: number) => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const { limitMs, signal, clock = PROCESS_CLOCK } = options;
  const pauses = new Pauses(options.pauseMs, options.longestPauseMs, clock.random);
  const deadline = clock.now() + limitMs;
  for (;;) {
    signal?.throwIfAborted();
    let last: unknown;
    let asked: number | undefined;
    try {
      const found = await attempt(Math.max(1, deadline - clock.now()));
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      const passes = options.passes?.(error) ?? false;
      if (passes === false || signal?.aborted) throw error;
      last = error;
      if (typeof passes === "number") asked = passes;
    }
    const rest = asked ?? pauses.next();
    if (clock.now() + rest >= deadline) throw await lateError(options, last);
    options.waiting?.(last);
    await clock.sleep(rest, signal);
  }
}

function lateError({ late, what, hint, limitMs }: UntilOptions, last: unknown): unknown {
  if (late) return late(last);
  if (what === undefined && last !== undefined) return last;
  return new KubestickError(what ?? `what was waited for did not come within ${limitMs / 1000} s`, {
    code: "timeout",
    hint,
    cause: last,
  });
}

/** As `until`, for what either works or throws: whatever it gives counts, nothing too. */
export async function untilItWorks<T>(attempt: (remainingMs: number) => Promise<T>, options: UntilOptions): Promise<T> {
  const { given } = await until(async (remainingMs) => ({ given: await attempt(remainingMs) }), options);
  return given;
}

/** That the time was up, between `until` and `untilMaybe`. */
const LATE = Symbol("late");

/** As `until`, for what may as well not come: undefined when the time is up. */
export async function untilMaybe<T>(
  attempt: (remainingMs: number) => Promise<T | undefined | false> | T | undefined | false,
  options: Omit<UntilOptions, "what" | "hint" | "late">,
): Promise<T | undefined> {
  try {
    return await until(attempt, { ...options, late: () => LATE });
  } catch (error) {
    if (error === LATE) return undefined;
    throw error;
  }
}
