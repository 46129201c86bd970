import { expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import {
  type Clock,
  Pauses,
  PROCESS_CLOCK,
  type UntilOptions,
  until,
  untilItWorks,
  untilMaybe,
} from "../../lib/util/until.ts";

/** A clock that only sleeping moves; `pauses` are those that were made. */
function fakeClock(random = 0.5) {
  let now = 1_000;
  const pauses: number[] = [];
  const clock: Clock = {
    now: () => now,
    random: () => random,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      pauses.push(ms);
      now += ms;
    },
  };
  return { clock, pauses, spend: (ms: number) => (now += ms), elapsed: () => now - 1_000 };
}

const thrown = (promise: Promise<unknown>) => promise.then(() => undefined).catch((error: unknown) => error);

test("what an attempt gives is given, and nothing is waited for that is there already", async () => {
  const { clock, pauses } = fakeClock();
  const text: string = await until(() => "here", { limitMs: 0, pauseMs: 100, clock });
  expect(text).toBe("here");
  expect(await until(async () => 0, { limitMs: 0, pauseMs: 100, clock })).toBe(0);
  expect(await until(() => "", { limitMs: 0, pauseMs: 100, clock })).toBe("");
  expect(pauses).toEqual([]);
});

test("undefined and false are tried again; pauses double up to the longest, and without one they stay", async () => {
  for (const [longestPauseMs, wanted] of [
    [500, [100, 200, 400, 500, 500]],
    [undefined, [100, 100, 100, 100, 100]],
  ] as [number | undefined, number[]][]) {
    const { clock, pauses } = fakeClock();
    let tries = 0;
    const options: UntilOptions = { limitMs: 60_000, pauseMs: 100, longestPauseMs, clock };
    expect(await until(() => (++tries < 6 ? [undefined, false][tries % 2] : tries), options)).toBe(6);
    expect(pauses).toEqual(wanted);
  }
});

test("jitter makes each pause half as long to half as long again, and growing ones can begin again", () => {
  const random = [0, 1, 0.5, 0];
  const pauses = new Pauses(100, 400, () => random.shift()!);
  expect([pauses.next(), pauses.next(), pauses.next()]).toEqual([50, 300, 400]);
  pauses.restart();
  expect(pauses.next()).toBe(50);
});

test("no attempt begins after the deadline, and each is told what is left", async () => {
  const { clock, spend, elapsed } = fakeClock();
  const left: number[] = [];
  const attempt = (remainingMs: number) => {
    left.push(remainingMs);
    spend(50);
    return undefined;
  };
  const options = { limitMs: 500, pauseMs: 100, clock, what: "the kubelet did not answer", hint: "look at its log" };
  const error = (await thrown(until(attempt, options))) as KubestickError;
  expect(error).toBeInstanceOf(KubestickError);
  expect([error.message, error.hint]).toEqual(["the kubelet did not answer", "look at its log"]);
  expect(left).toEqual([500, 350, 200, 50]);
  expect(elapsed()).toBe(500);
});

test("an attempt that took longer than all the time is the last, and is told of one millisecond at least", async () => {
  const { clock, spend, pauses } = fakeClock();
  const left: number[] = [];
  const attempt = (remainingMs: number) => {
    left.push(remainingMs);
    spend(5_000);
    return undefined;
  };
  expect(await thrown(until(attempt, { limitMs: 0, pauseMs: 1, clock }))).toBeInstanceOf(KubestickError);
  expect([left, pauses]).toEqual([[1], []]);
});

test("an error that does not pass is thrown at once; one that does is tried again, after the pause that it asks for", async () => {
  const { clock, pauses } = fakeClock();
  const errors = [new Error("busy"), new Error("asks for 7"), new Error("final"), new Error("never reached")];
  const passes = (error: unknown) => {
    const { message } = error as Error;
    return message.startsWith("asks") ? 7 : message === "busy";
  };
  const failing = () => {
    throw errors.shift();
  };
  expect(await thrown(until(failing, { limitMs: 60_000, pauseMs: 100, passes, clock }))).toMatchObject({
    message: "final",
  });
  expect(pauses).toEqual([100, 7]);
  expect(await thrown(until(failing, { limitMs: 60_000, pauseMs: 100, clock }))).toMatchObject({
    message: "never reached",
  });
});

test("when the time is up: the last error, or what the caller makes of it", async () => {
  const { clock } = fakeClock();
  let tries = 0;
  const failing = () => {
    throw new Error(`try ${++tries}`);
  };
  const options: UntilOptions = { limitMs: 250, pauseMs: 100, passes: () => true, clock };
  expect(await thrown(until(failing, options))).toMatchObject({ message: "try 3" });
  tries = 0;
  const late = async (last: unknown) => new Error(`gave up: ${(last as Error).message}`);
  expect(await thrown(until(failing, { ...options, late }))).toMatchObject({ message: "gave up: try 3" });
  expect(await thrown(until(failing, { ...options, what: "it did not come" }))).toMatchObject({
    message: "it did not come",
    cause: { message: "try 6" },
  });
  expect(await thrown(until(() => undefined, options))).toMatchObject({
    message: "what was waited for did not come within 0.25 s",
  });
});

test("what may as well not come is undefined when the time is up; an error is still one", async () => {
  const { clock, pauses } = fakeClock();
  const options: UntilOptions = { limitMs: 250, pauseMs: 100, clock };
  expect(await untilMaybe(() => undefined, options)).toBeUndefined();
  expect(pauses).toEqual([100, 100]);
  expect(await untilMaybe(() => 5, options)).toBe(5);
  const failing = () => Promise.reject(new Error("broken"));
  expect(await thrown(untilMaybe(failing, options))).toMatchObject({ message: "broken" });
  expect(await untilMaybe(failing, { ...options, passes: () => true })).toBeUndefined();
});

test("what either works or throws may give nothing", async () => {
  const { clock, pauses } = fakeClock();
  const steps = [() => Promise.reject(new Error("busy")), async () => undefined];
  const options: UntilOptions = { limitMs: 250, pauseMs: 100, passes: () => true, clock };
  expect(await untilItWorks(() => steps.shift()!(), options)).toBeUndefined();
  expect(pauses).toEqual([100]);
});

test("who waits is told before each pause, and why", async () => {
  const { clock } = fakeClock();
  const told: unknown[] = [];
  const steps = [() => undefined, () => Promise.reject(new Error("refused")), () => "done"];
  const waiting = (last: unknown) => told.push(last === undefined ? "not yet" : (last as Error).message);
  const options: UntilOptions = { limitMs: 60_000, pauseMs: 100, passes: () => true, waiting, clock };
  expect(await until<string>(() => steps.shift()!(), options)).toBe("done");
  expect(told).toEqual(["not yet", "refused"]);
});

test("a signal ends it: before the first attempt, after one, and in a pause", async () => {
  const stop = new AbortController();
  const reason = new Error("told to stop");
  const { clock, pauses } = fakeClock();
  let tries = 0;
  const options: UntilOptions = { limitMs: 60_000, pauseMs: 100, signal: stop.signal, clock };
  const aborting = () => {
    tries++;
    stop.abort(reason);
    return undefined;
  };
  expect(await thrown(until(aborting, options))).toBe(reason);
  expect(await thrown(until(aborting, options))).toBe(reason);
  expect([tries, pauses]).toEqual([1, []]);

  const sleeping = new AbortController();
  const waiting = () => queueMicrotask(() => sleeping.abort(reason));
  const real: UntilOptions = { limitMs: 600_000, pauseMs: 300_000, signal: sleeping.signal, waiting };
  expect(await thrown(until(() => undefined, real))).toBe(reason);
});

test("an attempt that fails because of the signal gives its own error, and is not tried again", async () => {
  const stop = new AbortController();
  const { clock } = fakeClock();
  const attempt = () => {
    stop.abort(new Error("told to stop"));
    throw new Error("cut off");
  };
  const options: UntilOptions = { limitMs: 60_000, pauseMs: 1, passes: () => true, signal: stop.signal, clock };
  expect(await thrown(until(attempt, options))).toMatchObject({ message: "cut off" });
});

test("the time of the process does not follow the host's clock", () => {
  const [before, host] = [PROCESS_CLOCK.now(), Date.now];
  try {
    Date.now = () => 0;
    expect(PROCESS_CLOCK.now()).toBeGreaterThanOrEqual(before);
  } finally {
    Date.now = host;
  }
});
