import { once } from "node:events";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../support/node.ts";

/** How a suite of Kubernetes' ended. */
export interface SuiteResult {
  ran: number;
  passed: number;
  failed: number;
  /** The names of the tests that failed. */
  failures: string[];
  seconds: number;
  /** Where its whole output lies. */
  log: string;
}

const LOG = "/var/log/peers.log";
const TELL_EVERY_MS = 60_000;
/** What ginkgo prints at the end: the counts and the failures. */
const TAIL_BYTES = 256 * 1024;

/**
 * Runs a ginkgo suite in a node to its end, its output into a log: hundreds of tests print more than a process should
 * hold. `command` must switch ginkgo's colours off. Gives what the last lines say; the whole log is kept beside the
 * node's directory. Throws with the last lines when they hold no result.
 */
export async function runSuite(node: TestNode, title: string, command: string[]): Promise<SuiteResult> {
  const started = performance.now();
  const child = node.start(["bash", "-c", `cd /var/log && exec "$@" >${LOG} 2>&1`, "suite", ...command]);
  let running = true;
  const ended = once(child, "close").then(() => {
    running = false;
  });
  while (running) {
    const woken = new AbortController();
    await Promise.race([ended, sleep(TELL_EVERY_MS, undefined, { signal: woken.signal }).catch(() => undefined)]);
    woken.abort();
    if (running) console.log(`${title}: ${Math.round((performance.now() - started) / 60_000)} min`);
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  const log = `${node.dir}-${title.replaceAll(/\W+/g, "-")}.log`;
  fs.copyFileSync(node.path(LOG), log);
  const tail = readTail(log);
  const counts = /^(?:SUCCESS|FAIL)! -- (\d+) Passed \| (\d+) Failed/m.exec(tail);
  if (!counts) throw new Error(`${title} ended without a result; the end of ${log}:\n${tail.slice(-4000)}`);
  const failures = tail.matchAll(/^ {2}\[(?:FAIL|TIMEDOUT|PANICKED|INTERRUPTED)\] (.*)$/gm);
  const [passed, failed] = [Number(counts[1]), Number(counts[2])];
  return {
    ran: passed + failed,
    passed,
    failed,
    failures: [...new Set([...failures].map((m) => m[1]!))],
    seconds,
    log,
  };
}

function readTail(path: string): string {
  const file = fs.openSync(path, "r");
  try {
    const { size } = fs.fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    fs.readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    fs.closeSync(file);
  }
}

/** Prints one line of counts and a line for each failure. */
export function report(title: string, { ran, passed, failures, seconds, log }: SuiteResult): void {
  console.log(`${title}: ${passed} of ${ran} passed in ${Math.round(seconds / 60)} min (${log})`);
  for (const name of failures) console.log(`  failed: ${name}`);
}
