import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { basename } from "node:path";
import { PROGRAM_PATH } from "../constants/paths.ts";
import { errno, reason } from "../errors.ts";
import { Files } from "../host/files.ts";
import { readPlainText } from "../host/plain-file.ts";
import { readSystemFile } from "../host/system-files.ts";
import { until } from "../util/until.ts";
import { flagsIn } from "./flags-file.ts";
import { note, openLog } from "./log.ts";
import { pidFile } from "./places.ts";
import { RESIDENT_ENV, type ServiceSpec } from "./service.ts";

/** How long a program may take to end once it was told to. */
export const STOP_MS = 15_000;
/** How often a process that is no child of this one is looked at. */
const LOOK_MS = 500;
/** An interpreter and its flag stand before a script in its command line. */
const FIRST_WORDS = 3;

/** The words of a process' command line; none where it has ended, also when nobody has asked how yet. */
export const wordsOf = (pid: number): string[] => readSystemFile(`/proc/${pid}/cmdline`).split("\0");

/** The process id in a file; undefined where there is none. */
export function pidIn(path: string): number | undefined {
  const pid = Number(readSystemFile(path));
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

type Program = Pick<ServiceSpec, "name" | "program">;

/** A process that runs, or ran, as a service's program. */
interface Running {
  pid: number;
  /** How it ended, once it has. */
  ended: Promise<string>;
}

/**
 * The process id in a service's pid file, if that process is the service's program; undefined where it is not. The kernel
 * gives the ids of processes that ended to others, so the program's name must be among its first words.
 */
export function programPid(program: Program): number | undefined {
  const pid = pidIn(pidFile(program.name));
  return pid !== undefined && runs(pid, program) ? pid : undefined;
}

const runs = (pid: number, { program }: Program) =>
  wordsOf(pid)
    .slice(0, FIRST_WORDS)
    .some((word) => basename(word) === basename(program));

/** Ends a service's program, whoever started it. Resolves when it has ended. */
export async function endProgram(program: Program): Promise<void> {
  const running = found(program);
  if (running) await end(running);
}

/** A service's program that runs and is no child of this process. */
function found(program: Program): Running | undefined {
  const pid = programPid(program);
  if (pid === undefined) return undefined;
  const gone = () => (runs(pid, program) ? undefined : "why is not known");
  return { pid, ended: until(gone, { limitMs: Number.POSITIVE_INFINITY, pauseMs: LOOK_MS }) };
}

/** SIGTERM, and SIGKILL where that is not enough. Resolves when it has ended. */
async function end({ pid, ended }: Running): Promise<void> {
  send(pid, "SIGTERM");
  const timer = setTimeout(() => send(pid, "SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * Runs a service's program until it ends, or the signal ends it. One that runs already is taken over: it has outlived an
 * earlier resident process. Throws with how it ended, unless the signal had it.
 */
export async function runProgram(spec: ServiceSpec, signal: AbortSignal): Promise<void> {
  const there = found(spec);
  if (there) note(spec.name, `kubestick: goes on with process ${there.pid}, which runs already`);
  const running = there ?? (await start(spec));
  const stop = () => void end(running);
  signal.addEventListener("abort", stop);
  try {
    if (signal.aborted) stop();
    const how = await running.ended;
    if (!signal.aborted) throw new Error(how);
  } finally {
    signal.removeEventListener("abort", stop);
    fs.rmSync(pidFile(spec.name), { force: true });
  }
}

/** Starts a service's program, and keeps its process id on disk. Throws where that cannot be. */
async function start(spec: ServiceSpec): Promise<Running> {
  const log = openLog(spec.name);
  let child: ChildProcess;
  try {
    child = spawn(spec.program, [...spec.args, ...flagsOf(spec)], {
      stdio: ["ignore", log, log],
      cwd: "/",
      env: { ...inherited(), ...spec.env, PATH: `${process.env["PATH"] ?? ""}:${PROGRAM_PATH}` },
    });
  } finally {
    fs.closeSync(log);
  }
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const { pid } = child;
  // There is no such program.
  if (pid === undefined) throw new Error(await ended);
  try {
    new Files().write(pidFile(spec.name), `${pid}\n`, { mode: 0o644 });
  } catch (error) {
    // It runs all the same; only another resident process would not know it.
    note(spec.name, `kubestick: ${reason(error)}`);
  }
  return { pid, ended };
}

/** No flags file means no more flags, as with systemd's EnvironmentFile=-. */
function flagsOf({ flagsFile }: ServiceSpec): string[] {
  if (!flagsFile) return [];
  try {
    return flagsIn(readPlainText(flagsFile.path), flagsFile.variable);
  } catch {
    return [];
  }
}

/** A proxy is for whoever ran the command: under systemd, too, a kubelet is not led to its API server by it. */
function inherited(): NodeJS.ProcessEnv {
  const own = (name: string) => /^(https?|no|all)_proxy$/i.test(name) || Object.hasOwn(RESIDENT_ENV, name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own(name)));
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errno(error) !== "ESRCH") throw error;
  }
}
