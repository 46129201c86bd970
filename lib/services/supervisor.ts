import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { LOG_DIR, PROGRAM_PATH, RUN_DIR, SERVICES_DIR } from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import { neverInThePast } from "../host/clock.ts";
import { makeDirectory } from "../host/directories.ts";
import { Files } from "../host/files.ts";
import { readPlainText } from "../host/plain-file.ts";
import { parseKubeletFlags } from "../kubelet/flags.ts";
import { oneLine } from "../ui/text.ts";
import { stableExecutable } from "./executable.ts";
import type { ServiceManagerControl, ServiceSpec } from "./service.ts";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A child that ran this long was well; the pause starts over. */
const HEALTHY_MS = 60_000;
const STOP_MS = 15_000;
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** The file with the process id of a service's supervisor. */
export const pidFile = (name: string) => `${RUN_DIR}/${name}.pid`;
const specFile = (name: string) => `${SERVICES_DIR}/${name}.json`;
const logFile = (name: string) => `${LOG_DIR}/${name}.log`;

/**
 * Services on a host that has no service manager: a detached process of kubestick's own for each, which starts the
 * program again when it ends. SIGHUP restarts the program at once, SIGTERM ends both.
 */
export function supervisor(files: Files): ServiceManagerControl {
  const stop = async (name: string): Promise<void> => {
    const pid = supervisorPid(name);
    if (pid === undefined) return;
    process.kill(pid, "SIGTERM");
    for (let waited = 0; waited < STOP_MS + 5_000; waited += 50) {
      if (supervisorPid(name) === undefined) return;
      await sleep(50);
    }
    throw new KubestickError(`the supervisor of ${name} (process ${pid}) does not end`, { hint: `kill -9 ${pid}` });
  };
  return {
    name: "kubestick's own supervisor",
    install(spec) {
      const text = `${JSON.stringify(spec, null, 1)}\n`;
      if (files.readText(specFile(spec.name)) === text) return false;
      files.write(specFile(spec.name), text, { mode: 0o644 });
      return true;
    },
    async restart(name) {
      const pid = supervisorPid(name);
      if (pid !== undefined) {
        process.kill(pid, "SIGHUP");
        return;
      }
      const [command, ...args] = stableExecutable();
      const child = spawn(command!, [...args, "supervise", name], { detached: true, stdio: "ignore", cwd: "/" });
      child.unref();
      for (let waited = 0; waited < 10_000; waited += 20) {
        if (supervisorPid(name) !== undefined) return;
        await sleep(20);
      }
      throw new KubestickError(`the supervisor of ${name} did not start`, { hint: `look at ${logFile(name)}` });
    },
    stop,
    async remove(name) {
      await stop(name);
      files.remove(specFile(name));
      for (const log of [logFile(name), `${logFile(name)}.1`]) files.remove(log);
    },
    isActive: (name) => supervisorPid(name) !== undefined,
    logCommand: (name) => `tail -n 100 ${logFile(name)}`,
  };
}

/** The running supervisor's process id; a stale pid file, whose process is gone or is another program's, gives undefined. */
export function supervisorPid(name: string): number | undefined {
  try {
    const pid = Number(readPlainText(pidFile(name)));
    if (!Number.isInteger(pid) || pid <= 1) return undefined;
    const words = readPlainText(`/proc/${pid}/cmdline`).split("\0");
    const at = words.indexOf("supervise");
    return at > 0 && words[at + 1] === name ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The supervisor process itself: runs until SIGTERM. Throws KubestickError when the service is not known here. */
export async function superviseForever(name: string): Promise<void> {
  const spec = readSpec(name);
  if (supervisorPid(name) !== undefined) return;
  // That of a shell would be the program's too; service managers give this one (systemd.exec(5)).
  process.umask(0o022);
  makeDirectory(RUN_DIR);
  makeDirectory(LOG_DIR);
  // Whichever of a host's services comes first: none of them may begin in the past.
  const clock = neverInThePast(new Files(), new Date());
  if (clock) note(name, clock);
  let child: ChildProcess | undefined;
  let stopping = false;
  let restartNow = false;
  let wake = new AbortController();
  const endChild = () => {
    const ending = child;
    ending?.kill("SIGTERM");
    if (ending) setTimeout(() => ending.kill("SIGKILL"), STOP_MS).unref();
  };
  process.on("SIGHUP", () => {
    restartNow = true;
    endChild();
    wake.abort();
  });
  process.on("SIGTERM", () => {
    stopping = true;
    endChild();
    wake.abort();
  });
  // The pid file is the last step: whoever sees it can already send signals.
  new Files().write(pidFile(name), `${process.pid}\n`, { mode: 0o644 });
  const rotation = setInterval(() => rotate(logFile(name)), 60_000);
  for (let pause = FIRST_PAUSE_MS; !stopping; ) {
    restartNow = false;
    wake = new AbortController();
    const started = Date.now();
    child = startChild(spec);
    const how = await ended(child);
    child = undefined;
    if (stopping || restartNow) continue;
    if (Date.now() - started > HEALTHY_MS) pause = FIRST_PAUSE_MS;
    note(name, `${spec.program} ended (${how}); starting it again in ${pause / 1000} s`);
    await sleep(pause, undefined, { signal: wake.signal }).catch(() => undefined);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
  clearInterval(rotation);
  fs.rmSync(pidFile(name), { force: true });
}

function readSpec(name: string): ServiceSpec {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new KubestickError(`not a service's name: ${name}`);
  try {
    return checkedSpec(JSON.parse(readPlainText(specFile(name))));
  } catch {
    throw new KubestickError(`the service ${name} is not known on this host, or ${specFile(name)} is damaged`, {
      hint: "kubestick init writes it",
    });
  }
}

/** What a supervisor needs of a definition. Throws where it is not there, or of another kind. */
function checkedSpec(value: unknown): ServiceSpec {
  const { name, program, args, env = {}, flagsFile } = value as ServiceSpec;
  const texts = [name, program, ...args, ...Object.values(env), ...(flagsFile ? [flagsFile.path] : [])];
  if (texts.some((text) => typeof text !== "string" || text.includes("\0"))) throw new TypeError("not a definition");
  return value as ServiceSpec;
}

function startChild(spec: ServiceSpec): ChildProcess {
  rotate(logFile(spec.name));
  const log = fs.openSync(logFile(spec.name), "a", 0o640);
  let flags: string[] = [];
  try {
    if (spec.flagsFile) flags = parseKubeletFlags(readPlainText(spec.flagsFile.path));
  } catch {
    // No flags file means no extra flags, as with systemd's EnvironmentFile=-.
  }
  try {
    return spawn(spec.program, [...spec.args, ...flags], {
      stdio: ["ignore", log, log],
      cwd: "/",
      env: { ...inherited(), ...spec.env, PATH: `${process.env["PATH"] ?? ""}:${PROGRAM_PATH}` },
    });
  } finally {
    fs.closeSync(log);
  }
}

/** A proxy is for whoever ran the command: under systemd, too, a kubelet is not led to its API server by it. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(https?|no|all)_proxy$/i.test(name)));
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function note(name: string, text: string): void {
  fs.appendFileSync(logFile(name), `${new Date().toISOString()} kubestick: ${oneLine(text)}\n`);
}

/** Keeps one old log. The child holds the file open for appending, so the contents are copied and cut, not renamed. */
function rotate(path: string): void {
  try {
    if (fs.statSync(path).size <= MAX_LOG_BYTES) return;
    fs.copyFileSync(path, `${path}.1`);
    fs.truncateSync(path);
  } catch {
    // No log yet.
  }
}
