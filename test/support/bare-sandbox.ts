import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { type Output, tryRun } from "../../lib/host/process.ts";
import { KUBESTICK } from "./cluster.ts";

/** Directories of this machine that a sandbox sees through an overlay; /run, /mnt and /tmp are empty in it. */
const OVERLAYS = ["etc", "var", "opt", "home", "srv"];
const SOURCES = join(import.meta.dir, "../..");

/**
 * A place to run kubestick as root where nothing reaches this machine: mounts, network, processes and host name are its own.
 * It ends with `end`, and with this process.
 */
export class Sandbox {
  readonly #child: ChildProcess;
  readonly #pid: number;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.#pid = pid;
  }

  /** Makes a sandbox. */
  static async make(): Promise<Sandbox> {
    const script = [
      "set -e",
      "mount -t tmpfs -o mode=755 t /mnt",
      ...OVERLAYS.flatMap((d) => [
        `mkdir -p /mnt/${d} /mnt/.${d}`,
        `mount -t overlay o -o lowerdir=/${d},upperdir=/mnt/${d},workdir=/mnt/.${d} /${d}`,
      ]),
      // What Kubernetes this machine has is none of the sandbox's.
      "rm -rf /etc/kubernetes /etc/containerd /etc/cni /var/lib/kubelet /var/lib/etcd /var/lib/kubestick /var/lib/containerd /var/lib/cni /var/log/pods /var/log/containers",
      // The sources may lie in a directory that is empty in it.
      `mkdir /mnt/.sources && mount --bind '${SOURCES}' /mnt/.sources`,
      "mount -t tmpfs -o mode=755 t /run",
      "mount -t tmpfs -o mode=1777 t /tmp",
      `[ -e '${SOURCES}/package.json' ] || { mkdir -p '${SOURCES}' && mount --bind /mnt/.sources '${SOURCES}'; }`,
      "mount -t tmpfs -o mode=755 t /mnt",
      "hostname sandbox",
      "ip link set lo up",
      "echo made",
      "while :; do sleep 1000 & wait $!; done",
    ];
    const flags = ["-m", "-n", "-p", "-u", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];
    const child = spawn("unshare", [...flags, "sh", "-c", script.join("\n")], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: "/",
    });
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("made")) resolve();
      });
      child.stderr!.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      child.once("exit", (code) => reject(new Error(`the sandbox ended with ${code}: ${said}`)));
    });
    const children = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
    return new Sandbox(child, Number(children.split(" ")[0]));
  }

  /** Runs a shell script in it. */
  sh(script: string, timeoutMs = 30_000): Output {
    return tryRun("nsenter", [...this.#enter(), "sh", "-c", script], timeoutMs);
  }

  /** Runs a shell script in it that must succeed; gives what it printed. */
  must(script: string): string {
    const out = this.sh(script);
    if (out.status !== 0) throw new Error(`${script}: ${out.stderr}`);
    return out.stdout;
  }

  /** Runs kubestick in it. */
  kubestick(words: string[], env: Record<string, string> = {}): Output {
    const pairs = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return tryRun("nsenter", [...this.#enter(), "env", ...pairs, ...KUBESTICK, ...words], 60_000);
  }

  /** The words, for the shell, that run kubestick. */
  words(command: string): string {
    return [...KUBESTICK, command].map((word) => `'${word}'`).join(" ");
  }

  /** Where this machine sees a path of it; links in it lead elsewhere here. */
  path(path: string): string {
    return join(`/proc/${this.#pid}/root`, path);
  }

  /** A file's text in it. */
  read(path: string): string {
    return this.must(`cat '${path}'`);
  }

  #enter(): string[] {
    return ["-t", String(this.#pid), "-m", "-n", "-p", "-u", "--wd=/", "--"];
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
