import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { LAB_OVERLAYS, LAB_OWN_DIRS } from "../constants/lab.ts";
import { CGROUP_ROOT_PREFIX, PROGRAM_PATH } from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import { cgroupVersion, removeCgroupRoot } from "../host/cgroups.ts";
import { makeDirectory } from "../host/directories.ts";
import { writeWhole } from "../host/new-file.ts";
import { type Output, run, tryRun } from "../host/process.ts";
import { removeTree } from "../host/remove.ts";
import { processIds, readSystemFile } from "../host/system-files.ts";
import { until } from "../util/until.ts";

/** What a node is made of. */
export interface NodeSpec {
  name: string;
  /** Its address with the length of the prefix: 10.200.0.11/24. */
  address: string;
  /** The bridge of this machine that its link hangs on. */
  bridge: string;
  /** Name of the link on this machine's side and of the network namespace. */
  link: string;
  /** Where its files are kept. */
  dir: string;
  /** Its /etc/hosts and /etc/resolv.conf. */
  hosts: string;
  resolvConf: string;
  /** Its default route; none without it. */
  gateway?: string;
  /** What it does not see of this machine: paths below /, as the shell's patterns. */
  hidden: string[];
  /** Files of this machine that it sees under other paths. */
  binds?: Record<string, string>;
  /** Lines of shell that its first process ends with: they start a service manager in its place. Without them it waits. */
  boot?: string[];
}

/** What the first process says when everything is in its place. */
const READY = "the node is ready";
/** A file that says that the node's overlays hide already what they must. */
const HIDDEN_MARK = ".hidden";
const READY_MS = 10_000;
const END_MS = 10_000;
const POLL_MS = 20;

/**
 * A Linux host made of namespaces: network, processes, mounts and host name of its own, on this machine's kernel. It
 * sees this machine's programs and configuration through an overlay, so that nothing it writes is this machine's. Its
 * first process only waits and reaps; when that ends, the kernel ends every other one, those of containers too.
 */
export class NamespaceNode {
  readonly spec: NodeSpec;

  constructor(spec: NodeSpec) {
    this.spec = spec;
  }

  /** Makes the node, or leaves it as it is when it is there. Throws KubestickError. */
  async up(): Promise<void> {
    if (this.pid !== undefined) return;
    this.#unmake();
    const { dir, link, bridge, address, gateway } = this.spec;
    for (const path of [...LAB_OVERLAYS.flatMap((d) => [d, `.work/${d}`]), ...LAB_OWN_DIRS])
      makeDirectory(join(dir, path));
    run("ip", ["netns", "add", link]);
    run("ip", ["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", link]);
    run("ip", ["link", "set", link, "master", bridge, "up"]);
    run("ip", ["-n", link, "addr", "add", address, "dev", "eth0"]);
    for (const name of ["lo", "eth0"]) run("ip", ["-n", link, "link", "set", name, "up"]);
    if (gateway) run("ip", ["-n", link, "route", "add", "default", "via", gateway]);
    removeTree(join(dir, "node.log"));
    const log = fs.openSync(join(dir, "node.log"), "wx", 0o600);
    // `ip netns exec` would remount /sys and hide the cgroups.
    const script = join(dir, "node.sh");
    writeWhole(script, 0o600, [Buffer.from(holdScript(this.spec))]);
    const unshare = ["unshare", "-m", "-u", "-p", "--fork", "--propagation", "private", "--mount-proc"];
    const child = spawn("nsenter", [`--net=/run/netns/${link}`, ...unshare, "sh", script], {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
    });
    child.unref();
    fs.closeSync(log);
    const said = () => fs.readFileSync(join(dir, "node.log"), "utf8").trim();
    const late = () => {
      this.#unmake();
      return new KubestickError(`cannot make the node ${this.spec.name} out of namespaces: ${said()}`, {
        hint: `this needs root, overlayfs, and a directory for ${dir} on a file system that is not an overlay itself (--dir chooses another)`,
      });
    };
    const ready = () => {
      if (said().split("\n").includes(READY)) return true;
      if (child.exitCode !== null) throw late();
      return false;
    };
    await until(ready, { limitMs: READY_MS, pauseMs: POLL_MS, late });
  }

  /** The process id, as this machine counts, of the node's first process; undefined when the node does not run. */
  get pid(): number | undefined {
    const identity = fs.statSync(`/run/netns/${this.spec.link}`, { throwIfNoEntry: false })?.ino;
    if (identity === undefined) return undefined;
    for (const pid of processIds()) {
      if (networkOf(pid) !== `net:[${identity}]`) continue;
      // The last number of NSpid is the one that the process has in its own namespace (proc_pid_status(5)).
      if (/^NSpid:\t\d+\t1$/m.test(readSystemFile(`/proc/${pid}/status`))) return Number(pid);
    }
    return undefined;
  }

  /** The words of this machine's command line that run a program in the node. Throws KubestickError when it does not run. */
  enter(): string[] {
    const pid = this.pid;
    if (pid === undefined)
      throw new KubestickError(`the node ${this.spec.name} does not run`, { hint: "kubestick lab up starts it" });
    // What is entered must end with the one who asked for it.
    return [
      "nsenter",
      "-t",
      String(pid),
      "-m",
      "-u",
      "-n",
      "-p",
      "--wd=/",
      "--",
      "setpriv",
      "--pdeathsig",
      "KILL",
      "--",
    ];
  }

  /** Runs a program in the node to its end. */
  exec(command: string[], env: Record<string, string>, timeoutMs: number): Output {
    const words = [...this.enter(), ...withEnv(env), ...command];
    return tryRun(words[0]!, words.slice(1), timeoutMs);
  }

  /** Starts a program in the node; its standard output and error as `output` says. */
  start(command: string[], env: Record<string, string>, output: "pipe" | "inherit" | "aside"): ChildProcess {
    const words = [...this.enter(), ...withEnv(env), ...command];
    const stdin = output === "pipe" ? "ignore" : "inherit";
    const where = output === "aside" ? 2 : output;
    return spawn(words[0]!, words.slice(1), { stdio: [stdin, where, where] });
  }

  /** Where this machine sees a path of the node. Throws KubestickError when the node does not run. */
  path(path: string): string {
    this.enter();
    return join(`/proc/${this.pid}/root`, path);
  }

  /** Ends every process of the node and removes what it was made of, its files too. Safe to run on what is half there. */
  async down(): Promise<void> {
    const ended = () => {
      const { pid } = this;
      if (pid === undefined) return true;
      tryRun("kill", ["-9", String(pid)]);
      return false;
    };
    const late = () =>
      new KubestickError(`the processes of ${this.spec.name} do not end; the first one is ${this.pid}`);
    await until(ended, { limitMs: END_MS, pauseMs: POLL_MS, late });
    this.#unmake();
    removeLab(this.spec.dir);
  }

  #unmake(): void {
    const { link } = this.spec;
    if (fs.existsSync(`/run/netns/${link}`)) run("ip", ["netns", "del", link]);
    // The link goes with its peer, a moment after the namespace.
    if (fs.existsSync(`/sys/class/net/${link}`)) tryRun("ip", ["link", "del", link]);
    // A host that boots has none of its dead pods' cgroups; a kubelet looks for the container of each, one after the other.
    removeCgroupRoot(`${CGROUP_ROOT_PREFIX}${this.spec.name}`, cgroupVersion());
  }
}

function networkOf(pid: string): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    // It has ended.
    return undefined;
  }
}

const withEnv = (env: Record<string, string>) => [
  "env",
  "-i",
  ...Object.entries({ PATH: PROGRAM_PATH, HOME: "/root", ...env }).map(([name, value]) => `${name}=${value}`),
];

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * Lines of shell that remove what a node must not see, paths below / as patterns. Each counts by where its directory
 * really is: what a link takes out of the overlays (/usr/local on another disk) is this machine's own.
 */
const hideLines = (hidden: string[]): string[] => [
  "cd /",
  "hide() {",
  '  directory=$(readlink -f "$(dirname "$1")") || return 0',
  `  for top in ${LAB_OVERLAYS.map((d) => `/${d}`).join(" ")}; do`,
  '    case "$directory/" in "$(readlink -f "$top")"/*) rm -rf "$1" ;; esac',
  "  done",
  "}",
  `for path in ${hidden.join(" ")}; do hide "$path"; done`,
];

/** Removes a directory of a lab. Throws KubestickError when something is mounted in it, or it cannot all be removed. */
export function removeLab(dir: string): void {
  const left = removeTree(dir);
  if (left.length === 0) return;
  throw new KubestickError(
    `${dir} is not all removed:\n${left.map(({ path, why }) => `  ${path}: ${why}`).join("\n")}`,
    { hint: "unmount what is mounted there (umount PATH), then run the same command again" },
  );
}

/** What the node's first process runs, as a shell script: makes its mounts, then waits, and reaps what is orphaned. */
function holdScript(spec: NodeSpec): string {
  const { dir, name, hosts, resolvConf, hidden, binds = {} } = spec;
  const at = (path: string) => quote(join(dir, path));
  const overlays = LAB_OVERLAYS.map(
    (d) =>
      `mount -t overlay overlay -o ${quote(`lowerdir=/${d},upperdir=${dir}/${d},workdir=${dir}/.work/${d}`)} /${d}`,
  );
  return [
    "set -e",
    "umask 022",
    "mount --make-rshared /",
    ...overlays,
    // Only of this machine's: what the node installed since then, it keeps when it is started again.
    `if [ ! -e ${at(HIDDEN_MARK)} ]; then`,
    ...hideLines(hidden),
    `touch ${at(HIDDEN_MARK)}`,
    "fi",
    "rm -f /etc/hosts /etc/resolv.conf",
    `printf %s ${quote(hosts)} >/etc/hosts`,
    `printf %s ${quote(resolvConf)} >/etc/resolv.conf`,
    ...Object.entries(binds).flatMap(([path, source]) => [
      `mkdir -p ${quote(dirname(path))}`,
      `touch ${quote(path)}`,
      `mount --bind ${quote(source)} ${quote(path)}`,
    ]),
    // Last, because what was bound above may lie below them.
    ...LAB_OWN_DIRS.map((d) => `mount --bind ${at(d)} /${d}`),
    "mount -t tmpfs -o mode=755 tmpfs /run",
    `hostname ${quote(name)}`,
    `echo ${quote(READY)}`,
    ...(spec.boot ?? ["while :; do sleep 86400 & wait $!; done"]),
  ].join("\n");
}
