import { setTimeout as sleep } from "node:timers/promises";
import { reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { keepRunning } from "../util/keep-running.ts";
import { Pauses } from "../util/until.ts";

/**
 * One of the node agent's concerns. Lifecycle: `start` is called first, then `reconcile` whenever something may have
 * changed, after a minute at the latest, and never twice at a time. Both throw where they fail, and are called again
 * after a pause; the other controllers go on meanwhile.
 */
export interface Controller {
  /** For the log: "service routes". */
  readonly name: string;
  /**
   * Runs until the signal, or ends when there is nothing to be done between one `reconcile` and the next. Calls `changed`
   * when there is something to reconcile.
   */
  start?(signal: AbortSignal, changed: () => void): Promise<void>;
  /** Brings the host in line with what is known. */
  reconcile?(): void | Promise<void>;
}

/** Where the agent works. */
export interface AgentHost {
  files: Files;
  /** Writes a line into the agent's log. */
  log(text: string): void;
  /** Has every controller reconcile soon. */
  changed(): void;
}

/** Changes come in bursts, as when a classroom joins. */
const SETTLE_MS = 250;
/** What changes all the time must not keep the node busy. */
const APART_MS = 2_000;
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;
/** Everything is looked at again now and then. */
const RESYNC_MS = 60_000;

/** A controller that is kept going. */
export interface KeptGoing {
  /** Has it reconcile soon. */
  changed(): void;
  /** Resolves when the signal has ended it. */
  ended: Promise<void>;
}

/** Keeps a controller going until the signal. `failed` is told what it throws, once as long as that stays the same. */
export function keepGoing(controller: Controller, signal: AbortSignal, failed: (error: unknown) => void): KeptGoing {
  let bell = Promise.withResolvers<void>();
  const changed = () => bell.resolve();
  const starting = once(failed);
  const started = keepRunning(async (until) => controller.start?.(until, changed), {
    signal,
    firstPauseMs: FIRST_RETRY_MS,
    longestPauseMs: LONGEST_RETRY_MS,
    healthyMs: LONGEST_RETRY_MS,
    failed(error, pauseMs) {
      if (pauseMs === FIRST_RETRY_MS) starting.well();
      starting.failed(error);
    },
  });
  const reconciling = once(failed);
  const reconciled = async () => {
    signal.addEventListener("abort", () => bell.resolve());
    const pauses = new Pauses(FIRST_RETRY_MS, LONGEST_RETRY_MS);
    while (!signal.aborted) {
      bell = Promise.withResolvers();
      const began = performance.now();
      let next = RESYNC_MS;
      try {
        await controller.reconcile?.();
        reconciling.well();
        pauses.restart();
      } catch (error) {
        if (!signal.aborted) reconciling.failed(error);
        next = pauses.next();
      }
      const timer = setTimeout(changed, next);
      if (!signal.aborted) await bell.promise;
      clearTimeout(timer);
      const settled = Math.max(SETTLE_MS, began + APART_MS - performance.now());
      await sleep(settled, undefined, { signal }).catch(() => undefined);
    }
  };
  return { changed, ended: Promise.all([started, reconciled()]).then(() => undefined) };
}

/** Hands an error on unless it is the same as the last one, and all was not well in between. */
function once(failed: (error: unknown) => void) {
  let last = "";
  return {
    failed(error: unknown): void {
      if (reason(error) !== last) failed(error);
      last = reason(error);
    },
    well(): void {
      last = "";
    },
  };
}
