import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { MINUTE } from "../constants/durations.ts";
import type { Files } from "../host/files.ts";
import { until } from "../util/until.ts";
import { definedServices, readDefinition } from "./definition.ts";
import { stableExecutable } from "./executable.ts";
import { logFile, ORDERS, type Order, orderFile, pidFile, RESIDENT_PID_FILE, specFile } from "./places.ts";
import { endProgram, pidIn, programPid, STOP_MS } from "./program.ts";
import { residentPid, SUPERVISE } from "./resident.ts";
import { RESIDENT_ENV, type ServiceManagerControl, type ServiceSpec } from "./service.ts";

/** A slow card reads a hundred megabytes first, perhaps while thirty others do the same. */
const START_MS = MINUTE;
/** Several services, each with all the time that it has to end, and the resident process's own start. */
const ORDER_MS = START_MS + 3 * STOP_MS;
const POLL_MS = 20;

/**
 * Services on a host that has no service manager: kubestick's own resident process keeps them running; see
 * superviseServices. It is started with the first of them and ends with the last.
 */
export function supervisor(files: Files): ServiceManagerControl {
  const stop = async (name: string): Promise<void> => {
    if (residentPid() !== undefined) return order(files, name, "stop");
    // Nobody keeps it running, and it runs perhaps.
    const spec = definitionOf(name);
    if (!spec.part) await endProgram(spec);
  };
  return {
    name: "kubestick's own supervisor",
    install(spec) {
      const text = `${JSON.stringify(spec, null, 1)}\n`;
      if (files.readText(specFile(spec.name)) === text) return false;
      files.write(specFile(spec.name), text, { mode: 0o644 });
      return true;
    },
    installed: (name) => files.exists(specFile(name)),
    restart: (name) => order(files, name, "restart"),
    stop,
    async remove(name) {
      await stop(name);
      files.remove(specFile(name));
      if (definedServices(files).length === 0) await endResident();
      for (const log of [logFile(name), `${logFile(name)}.1`]) files.remove(log);
    },
    isActive,
    logCommand: (name) => `tail -n 100 ${logFile(name)}`,
  };
}

/** Whether a service has a process: its program's, also where nobody keeps that running, or the resident one where it is a part of that. */
function isActive(name: string): boolean {
  const spec = definitionOf(name);
  if (!spec.part) return programPid(spec) !== undefined;
  const resident = residentPid();
  return resident !== undefined && pidIn(pidFile(name)) === resident;
}

/** A service's definition; one that is gone is guessed: the programs of a Kubernetes node are services under their names. */
function definitionOf(name: string): Pick<ServiceSpec, "name" | "program" | "part"> {
  try {
    return readDefinition(name);
  } catch {
    return { name, program: name };
  }
}

/** Has the resident process do something with a service, and starts it where it does not run. Resolves when that is done. Throws KubestickError. */
async function order(files: Files, name: string, what: Order): Promise<void> {
  const file = orderFile(name, what);
  for (const other of ORDERS) files.remove(orderFile(name, other));
  files.write(file, "", { mode: 0o644 });
  tell(residentPid(), "SIGHUP");
  const done = async () => {
    if (!files.exists(file)) return true;
    if (residentPid() === undefined) await startResident();
    return false;
  };
  await until(done, {
    limitMs: ORDER_MS,
    pauseMs: POLL_MS,
    what: `kubestick's resident process (${RESIDENT_PID_FILE}) does not ${what} ${name}`,
    hint: `look at its log: ${logFile(name)}`,
  });
}

async function startResident(): Promise<void> {
  const [command, ...args] = [...stableExecutable(), SUPERVISE];
  const child = spawn(command!, args, {
    detached: true,
    stdio: "ignore",
    cwd: "/",
    env: { ...process.env, ...RESIDENT_ENV },
  });
  child.unref();
  await until(() => residentPid() !== undefined, {
    limitMs: START_MS,
    pauseMs: POLL_MS,
    what: "kubestick's resident process, which keeps services running, does not start",
    hint: `see what it says: ${[command, ...args].join(" ")}`,
  });
}

async function endResident(): Promise<void> {
  const pid = residentPid();
  tell(pid, "SIGTERM");
  await until(() => residentPid() !== pid || pid === undefined, {
    limitMs: ORDER_MS,
    pauseMs: POLL_MS,
    what: `kubestick's resident process, ${pid}, does not end`,
    hint: `kill -9 ${pid}`,
  });
  fs.rmSync(RESIDENT_PID_FILE, { force: true });
}

function tell(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, which whoever waits for it sees.
  }
}
