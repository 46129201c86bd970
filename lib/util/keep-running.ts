import { setTimeout as sleep } from "node:timers/promises";
import { Pauses } from "./until.ts";

/** How something is kept running. Times are in milliseconds. */
export interface KeepRunning {
  /** Ends it, and the pauses between. */
  signal: AbortSignal;
  /** The pause after a failure, which doubles up to the longest. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** What ran this long was well: the pauses begin with the first again. */
  healthyMs: number;
  /** Told of each failure, before the pause that follows it. */
  failed(error: unknown, pauseMs: number): void;
}

/**
 * Runs a job until the signal, or until it ends of its own accord: when it throws, it is run again after a pause. `run`
 * ends when its signal is aborted; what it throws then does not count. Never throws.
 */
export async function keepRunning(run: (signal: AbortSignal) => Promise<void>, how: KeepRunning): Promise<void> {
  const { signal } = how;
  // Nobody else comes back at the same time.
  const pauses = new Pauses(how.firstPauseMs, how.longestPauseMs, () => 0.5);
  while (!signal.aborted) {
    const began = performance.now();
    let pause: number;
    try {
      await run(signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - began > how.healthyMs) pauses.restart();
      pause = pauses.next();
      how.failed(error, pause);
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}
