import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { run, tryRun } from "../../lib/host/process.ts";
import { containerdConfig } from "../../lib/runtime/containerd-config.ts";
import { until } from "./node.ts";

/** A containerd on this machine, with its CRI, for one test: its socket, state and content are below a directory. */
export class TestContainerd {
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(
    readonly work: string,
    child: ChildProcess,
  ) {
    this.socket = join(work, "containerd.sock");
    this.#child = child;
  }

  /** Starts a containerd with the configuration that kubestick writes for a board with that version. */
  static async start(work: string, options: { program?: string; sandboxImage: string }): Promise<TestContainerd> {
    const { program = "containerd", sandboxImage } = options;
    fs.mkdirSync(work, { recursive: true });
    const written = containerdConfig({
      major: Number(/v?(\d+)\.\d+\.\d+/.exec(run(program, ["--version"]))![1]),
      sandboxImage,
      systemdCgroup: false,
      restrictOomScoreAdj: true,
      cniBinDir: "/opt/cni/bin",
      certsDir: join(work, "certs.d"),
    });
    const own = `root = "${work}/root"\nstate = "${work}/state"\n[grpc]\n  address = "${work}/containerd.sock"\n`;
    fs.writeFileSync(
      join(work, "containerd.toml"),
      written.replace(/^version = \d+\n/m, (version) => version + own),
    );
    const log = fs.openSync(join(work, "containerd.log"), "w");
    const child = spawn(program, ["-c", join(work, "containerd.toml")], { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    const daemon = new TestContainerd(work, child);
    await until(() => tryRun("ctr", ["-a", daemon.socket, "version"], 5_000).status === 0, 30_000, "containerd");
    return daemon;
  }

  /** Runs containerd's own client and gives what it prints. */
  ctr(...args: string[]): string {
    return run("ctr", ["-a", this.socket, ...args], 60_000);
  }

  /** Ends it, with what it mounted. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await until(() => this.#child.exitCode !== null || this.#child.signalCode !== null, 10_000, "containerd ends");
    tryRun("sh", ["-c", `grep -o ' ${this.work}[^ ]*' /proc/mounts | xargs -r umount -l`]);
  }
}
