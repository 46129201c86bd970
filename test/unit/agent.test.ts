import { expect, test } from "bun:test";
import { type Controller, keepGoing } from "../../lib/agent/controller.ts";
import { startOrder } from "../../lib/services/definition.ts";
import { keepRunning } from "../../lib/util/keep-running.ts";

/** A signal and what ends it. */
const ending = () => {
  const end = new AbortController();
  return { signal: end.signal, end: () => end.abort() };
};

test("a job that throws is run again after pauses that double, until it ends of its own accord", async () => {
  const { signal } = ending();
  const told: [string, number][] = [];
  let runs = 0;
  await keepRunning(
    async () => {
      if (++runs <= 4) throw new Error(`failure ${runs}`);
    },
    {
      signal,
      firstPauseMs: 1,
      longestPauseMs: 4,
      healthyMs: 60_000,
      failed: (error, pauseMs) => told.push([(error as Error).message, pauseMs]),
    },
  );
  expect(runs).toBe(5);
  expect(told).toEqual([
    ["failure 1", 1],
    ["failure 2", 2],
    ["failure 3", 4],
    ["failure 4", 4],
  ]);
});

test("a job that its signal ends is not run again, and what it throws then is nobody's business", async () => {
  const { signal, end } = ending();
  const told: unknown[] = [];
  let runs = 0;
  const kept = keepRunning(
    async (until) => {
      runs++;
      await new Promise((_, reject) => until.addEventListener("abort", () => reject(new Error("aborted"))));
    },
    { signal, firstPauseMs: 1, longestPauseMs: 1, healthyMs: 1, failed: (error) => told.push(error) },
  );
  end();
  await kept;
  expect([runs, told]).toEqual([1, []]);
});

test("a controller is started before it reconciles, reconciles when something changed, and starts again when it fails", async () => {
  const { signal, end } = ending();
  const seen: string[] = [];
  const told: string[] = [];
  const again = Promise.withResolvers<void>();
  let starts = 0;
  const controller: Controller = {
    name: "one",
    async start(until, changed) {
      seen.push(`start ${++starts}`);
      if (starts === 1) throw new Error("no start");
      changed();
      await new Promise<void>((resolve) => until.addEventListener("abort", () => resolve()));
      seen.push("ended");
    },
    reconcile() {
      seen.push("reconcile");
      if (starts === 2) again.resolve();
    },
  };
  const kept = keepGoing(controller, signal, (error) => told.push((error as Error).message));
  await again.promise;
  end();
  await kept.ended;
  expect(seen).toEqual(["start 1", "reconcile", "start 2", "reconcile", "ended"]);
  expect(told).toEqual(["no start"]);
});

test("what a controller cannot reconcile is tried again, and said once as long as it is the same", async () => {
  const { signal, end } = ending();
  const told: string[] = [];
  const done = Promise.withResolvers<void>();
  let tries = 0;
  const kept = keepGoing(
    {
      name: "one",
      reconcile() {
        tries++;
        if (tries === 1 || tries === 2) throw new Error("refused");
        if (tries === 3) throw new Error("full");
        done.resolve();
      },
    },
    signal,
    (error) => {
      told.push((error as Error).message);
    },
  );
  const hurry = setInterval(kept.changed, 10);
  await done.promise;
  clearInterval(hurry);
  end();
  await kept.ended;
  expect(told).toEqual(["refused", "full"]);
});

test("services start after those that they name, and those that wait for each other start as they come", () => {
  const order = (specs: Record<string, string[]>) =>
    startOrder(Object.entries(specs).map(([name, after]) => ({ name, after }))).map(({ name }) => name);
  expect(order({ kubelet: ["containerd", "agent"], agent: [], containerd: ["none"] })).toEqual([
    "agent",
    "containerd",
    "kubelet",
  ]);
  expect(order({ a: ["b"], b: ["a"], c: [] })).toEqual(["b", "a", "c"]);
});
