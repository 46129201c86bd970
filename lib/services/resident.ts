import * as fs from "node:fs";
import { LOG_DIR, RUN_DIR } from "../constants/paths.ts";
import { KubestickError, reason } from "../errors.ts";
import { makeDirectory } from "../host/directories.ts";
import { Files } from "../host/files.ts";
import { keepRunning } from "../util/keep-running.ts";
import { definedServices, readDefinition, startOrder } from "./definition.ts";
import { note, rotate } from "./log.ts";
import { ORDERS, orderFile, pidFile, RESIDENT, RESIDENT_PID_FILE } from "./places.ts";
import { endProgram, pidIn, runProgram, wordsOf } from "./program.ts";
import type { ServiceSpec } from "./service.ts";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const HEALTHY_MS = 60_000;
const ROTATION_MS = 60_000;
/** A part may be waiting for a server that does not answer; whatever it writes is whole at any moment. */
const PART_END_MS = 2_000;

/** The word of the command line that runs the resident process. */
export const SUPERVISE = "supervise";

/** A part of kubestick that runs in the resident process as a service. */
export interface Part {
  /** Runs until the signal. */
  start(signal: AbortSignal): Promise<void>;
  /** Looks at everything again. */
  reconcile(): void;
}

/** The resident process' id, if it runs; a stale file, whose process is gone or is another program's, gives undefined. */
export function residentPid(): number | undefined {
  const pid = pidIn(RESIDENT_PID_FILE);
  return pid !== undefined && wordsOf(pid).indexOf(SUPERVISE) > 0 ? pid : undefined;
}

/**
 * The resident process of a host that has no service manager. It keeps every service running that is defined there (see
 * specFile): programs, and the given `parts` of kubestick, by the services' names. One that ends is started again after a
 * pause. What an earlier resident process left running goes on.
 *
 * Lifecycle: services start in the order of their definitions' `after`. SIGHUP makes it look at the definitions, orders
 * (see orderFile) and everything that its parts know. It ends by SIGTERM, or when no service is defined any more, and
 * ends the services before, last ones first. Killed, it leaves their programs running.
 *
 * Throws KubestickError where there is nothing to do.
 */
export async function superviseServices(parts: Record<string, Part>): Promise<void> {
  if (residentPid() !== undefined) return;
  const names = definedServices();
  if (names.length === 0)
    throw new KubestickError("no service is defined on this host", { hint: "kubestick init does it" });
  // One that can be read is enough to begin with.
  if (readDefinitions(names).length === 0) readDefinition(names[0]!);
  // That of a shell would be the programs' too; service managers give this one (systemd.exec(5)).
  process.umask(0o022);
  for (const directory of [RUN_DIR, LOG_DIR]) makeDirectory(directory);
  const services = new Map<string, Supervised>();
  const end = new AbortController();
  let bell = Promise.withResolvers<void>();
  const ring = () => bell.resolve();
  process.on("SIGHUP", ring);
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      end.abort();
      ring();
    });
  // The last step: whoever sees it can already send signals.
  new Files().write(RESIDENT_PID_FILE, `${process.pid}\n`, { mode: 0o644 });
  const rotation = setInterval(() => {
    for (const name of services.keys()) rotate(name);
  }, ROTATION_MS);
  for (;;) {
    bell = Promise.withResolvers();
    try {
      await bringInLine(services, parts);
      if (definedServices().length === 0) break;
    } catch (error) {
      // A disk that fails: what runs goes on.
      note(RESIDENT, reason(error));
    }
    await bell.promise;
    if (end.signal.aborted) break;
    for (const name of services.keys()) parts[name]?.reconcile();
  }
  clearInterval(rotation);
  for (const service of startOrder([...services.values()]).reverse()) await service.stop();
  fs.rmSync(RESIDENT_PID_FILE, { force: true });
}

/** Starts, restarts and stops services as their definitions and orders say. */
async function bringInLine(services: Map<string, Supervised>, parts: Record<string, Part>): Promise<void> {
  // What comes while these are carried out is for the next time.
  const orders = orderFiles();
  const names = definedServices();
  const gone = [...services.keys()].filter((name) => !names.includes(name));
  for (const name of gone.reverse()) {
    await services.get(name)!.stop();
    services.delete(name);
  }
  for (const spec of startOrder(readDefinitions(names))) {
    const known = services.get(spec.name);
    const service = known ?? new Supervised(spec, parts[spec.name]);
    services.set(spec.name, service);
    if (orders.includes(orderFile(spec.name, "stop"))) await service.stop();
    else if (orders.includes(orderFile(spec.name, "restart"))) await service.restart();
    else if (!known) service.start();
  }
  for (const file of orders) fs.rmSync(file, { force: true });
}

const orderFiles = (): string[] =>
  new Files()
    .list(RUN_DIR)
    .filter((file) => ORDERS.some((order) => file.endsWith(`.${order}`)))
    .map((file) => `${RUN_DIR}/${file}`);

/** The definitions that can be read, as they come; what is wrong with others is said in their services' logs. */
function readDefinitions(names: string[]): ServiceSpec[] {
  return names.flatMap((name) => {
    try {
      return [readDefinition(name)];
    } catch (error) {
      note(name, `kubestick: ${reason(error)}`);
      return [];
    }
  });
}

/** A service that the resident process keeps running. */
class Supervised {
  readonly name: string;
  readonly after: string[];
  readonly #program: string;
  readonly #part: Part | undefined;
  #running: { stop: AbortController; ended: Promise<void> } | undefined;

  constructor({ name, after = [], program }: ServiceSpec, part: Part | undefined) {
    this.name = name;
    this.after = after;
    this.#program = program;
    this.#part = part;
  }

  start(): void {
    const stop = new AbortController();
    const what = this.#part ? this.name : this.#program;
    const ended = keepRunning((signal) => this.#run(signal), {
      signal: stop.signal,
      firstPauseMs: FIRST_PAUSE_MS,
      longestPauseMs: LONGEST_PAUSE_MS,
      healthyMs: HEALTHY_MS,
      failed: (error, pauseMs) =>
        note(this.name, `kubestick: ${what} ended (${reason(error)}); starting it again in ${pauseMs / 1000} s`),
    });
    this.#running = { stop, ended };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.stop.abort();
    await running?.ended;
    // An earlier resident process perhaps left it running.
    if (!running && !this.#part) await endProgram({ name: this.name, program: this.#program });
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** Once, until it ends. The definition is read each time: it may be another by now. */
  async #run(signal: AbortSignal): Promise<void> {
    if (!this.#part) return runProgram(readDefinition(this.name), signal);
    const file = pidFile(this.name);
    new Files().write(file, `${process.pid}\n`, { mode: 0o644 });
    try {
      await endedOrLeft(this.#part.start(signal), signal);
    } finally {
      fs.rmSync(file, { force: true });
    }
  }
}

/** Waits until a part has ended; once it was told to, not for long. */
async function endedOrLeft(ended: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const leave = () => void setTimeout(resolve, PART_END_MS);
  signal.addEventListener("abort", leave, { once: true });
  await Promise.race([ended, left]);
}
