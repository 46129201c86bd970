import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Output, tryRunAside } from "../../lib/host/process.ts";
import type { Ran, Run } from "./fuzz-worker.ts";
import { asLine } from "./lines.ts";

/** Directories that a command may write to in the sandbox; what it writes lies in memory, and is gone with it. */
const WRITABLE = ["etc", "var", "opt", "usr", "root", "home", "boot", "srv"];

/**
 * Makes namespaces of its own (mounts, network, processes, host name) in which nothing of this machine can be changed:
 * its files are read-only, or below overlays whose changes lie in memory; services and sockets in /run are not there.
 */
const SCRIPT = `set -e
work=$1; shift
mount -t tmpfs tmpfs "$work"
for d in ${WRITABLE.join(" ")}; do
  [ -d "/$d" ] || continue
  mkdir -p "$work/.sandbox/$d/upper" "$work/.sandbox/$d/work"
  mount -t overlay overlay -o "lowerdir=/$d,upperdir=$work/.sandbox/$d/upper,workdir=$work/.sandbox/$d/work" "/$d"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/tmp
mount -o remount,bind,ro /
for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mountpoint -q "$d" && mount -o remount,bind,ro "$d" || true; done
ip link set lo up
ip link add eth0 type veth peer name peer0
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip link set peer0 up
hostname fuzz
# What it started would outlive the command that waits for it.
rm -f /usr/bin/containerd /usr/local/bin/containerd
cd "$work"; mkdir cwd; cd cwd
exec "$@"
`;

/** The words that run a command in a sandbox whose own directory is `work`. */
function commandIn(work: string, command: string[]): string[] {
  // All of it ends with the test.
  const unshare = ["unshare", "-m", "-n", "-u", "-p", "-i", "--fork", "--kill-child", "--mount-proc"];
  unshare.push("--propagation", "private");
  return ["setpriv", "--pdeathsig", "KILL", "--", ...unshare, "sh", "-c", SCRIPT, "sh", work, ...command];
}

/** Runs a command in a sandbox to its end, while other things go on. */
export function runInSandbox(work: string, command: string[], timeoutMs = 60_000): Promise<Output> {
  const [program, ...words] = commandIn(work, command);
  return tryRunAside(program!, words, timeoutMs);
}

/** A running worker of fuzz-worker.ts in a sandbox whose own directory is `work`. */
export function sandbox(work: string) {
  const worker = [process.execPath, join(import.meta.dir, "fuzz-worker.ts")];
  const [program, ...words] = commandIn(work, worker);
  const child = spawn(program!, words, {
    stdio: ["ignore", "inherit", "pipe", "pipe", "pipe"],
    env: { ...process.env, TERM: "dumb" },
  });
  let trouble = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    trouble += chunk.toString();
  });
  const questions = child.stdio[4] as NodeJS.WritableStream;
  const answers = createInterface({ input: child.stdio[3] as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  return {
    /** Runs one command line; undefined when it does not end in time, and then the worker is gone. */
    async run(what: Run, timeoutMs = 30_000): Promise<Ran | undefined> {
      questions.write(asLine(what));
      const late = Bun.sleep(timeoutMs).then(() => undefined);
      const answer = await Promise.race([answers.next(), late]);
      if (answer === undefined) return undefined;
      if (answer.done) throw new Error(`the sandbox ended: ${trouble}`);
      return JSON.parse(answer.value) as Ran;
    },
    async end(): Promise<void> {
      const closed = new Promise((done) => child.once("close", done));
      questions.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await closed;
      clearTimeout(timer);
    },
  };
}
