import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LAB_HIDDEN } from "../../lib/constants/lab.ts";
import { cgroupVersion, makeCgroupRoot, removeCgroupRoot } from "../../lib/host/cgroups.ts";
import { type Output, run, tryRun } from "../../lib/host/process.ts";
import { processIds } from "../../lib/host/system-files.ts";
import { NamespaceNode } from "../../lib/lab/node.ts";
import { E2E_BIN, PAUSE_IMAGE, unpackedImages } from "./binaries.ts";
import { claimNumber } from "./claims.ts";

/** Where the end-to-end tests keep images, bundles and nodes. */
export const WORK = process.env["KUBESTICK_E2E_WORK"] ?? "/var/tmp/kubestick-e2e";

const BRIDGE = "kstest0";
const SUBNET = "10.99.0";
/** This machine's address on the nodes' bridge. */
export const BRIDGE_ADDRESS = `${SUBNET}.1`;

/** Where kubestick, and what it starts, may leave files. */
const OWN_PATHS = [
  "/etc/kubernetes",
  "/etc/sysctl.d/99-kubestick.conf",
  "/etc/modules-load.d/kubestick.conf",
  "/opt/kubestick",
  "/var/lib/kubelet",
  "/var/lib/etcd",
  "/var/lib/kubestick",
  "/var/log/pods",
  "/var/log/containers",
  "/var/log/kubestick",
  "/run/kubestick",
];
const OWN_PATHS_BARE = [
  "/etc/containerd",
  "/etc/cni",
  "/opt/cni",
  "/var/lib/containerd",
  "/var/lib/cni",
  "/run/containerd",
];

/** What a test may choose of a node. */
export interface NodeOptions {
  /** What its /etc/resolv.conf says; default a loopback nameserver only. */
  resolvConf?: string;
  /** Whether it has a route beyond the bridge. */
  defaultRoute?: boolean;
  /** Whether containerd runs in it; default true. */
  containerd?: boolean;
  /** Whether the images are imported into it; default true. */
  images?: boolean;
  /** Whether it has the tests' own network configuration; default true. */
  cni?: boolean;
  /** More lines of its /etc/hosts. */
  hosts?: string;
  /** Lines of shell that start a service manager as its first process. */
  boot?: string[];
  /** Whether it is a bare board: no containerd, runc, CNI plugins, kubelet, kubectl, and no configuration of them. */
  bare?: boolean;
}

/** A throw-away host, made as a lab's nodes are, with containerd and the images in it unless it is bare. */
export class TestNode {
  readonly name: string;
  readonly ip: string;
  readonly dir: string;
  readonly cgroup: string;
  readonly #work: string;
  readonly #link: string;
  #left: string | undefined;
  #node: NamespaceNode;
  #bare = false;

  constructor(name: string, work = WORK) {
    const dirOf = (index: number) => join(work, "nodes", `${index}-${name}`);
    const { index, left } = claimNumber(dirOf);
    this.#work = work;
    this.name = name;
    this.ip = `${SUBNET}.${index}`;
    this.dir = dirOf(index);
    this.cgroup = `kstest-${index}`;
    this.#link = `kst-${index}`;
    this.#left = left;
    this.#node = this.#made({});
  }

  #made(options: NodeOptions): NamespaceNode {
    return new NamespaceNode({
      name: this.name,
      address: `${this.ip}/24`,
      bridge: BRIDGE,
      link: this.#link,
      dir: this.dir,
      // An air-gapped Debian knows its own name by a loopback address only.
      hosts: `127.0.0.1 localhost\n${options.defaultRoute === false ? "127.0.1.1" : this.ip} ${this.name}\n${options.hosts ?? ""}`,
      resolvConf: options.resolvConf ?? "nameserver 127.0.0.1\n",
      ...(options.defaultRoute === false ? {} : { gateway: BRIDGE_ADDRESS }),
      ...(options.boot ? { boot: options.boot } : {}),
      hidden: options.bare ? LAB_HIDDEN : LAB_HIDDEN.filter((path) => !path.startsWith("usr/")),
    });
  }

  /** Makes the node and starts containerd in it. */
  async up(options: NodeOptions = {}): Promise<this> {
    await this.down();
    // Other test files may make it at the same moment; whoever comes second finds it there.
    tryRun("ip", ["link", "add", BRIDGE, "type", "bridge"]);
    tryRun("ip", ["addr", "add", `${BRIDGE_ADDRESS}/24`, "dev", BRIDGE]);
    run("ip", ["link", "set", BRIDGE, "up"]);
    makeCgroupRoot(this.cgroup, cgroupVersion());
    this.#bare = options.bare ?? false;
    this.#node = this.#made(options);
    await this.#node.up();
    if (this.#bare) return this;
    this.#writeFiles(options);
    if (options.containerd === false) return this;
    if (options.images !== false) this.#giveImages(unpackedImages(this.#work));
    await this.#startContainerd();
    return this;
  }

  /** Links of unpacked layers cost nothing, and the kernel keeps each program in memory once for all nodes; databases are written to. */
  #giveImages(unpacked: string): void {
    const own = join(this.dir, "var/lib/containerd");
    run("cp", ["-al", unpacked, own]);
    for (const database of fs.readdirSync(own, { recursive: true, encoding: "utf8" }))
      if (/^[^/]+\/[^/]+\.db$/.test(database)) {
        fs.rmSync(join(own, database));
        fs.copyFileSync(join(unpacked, database), join(own, database));
      }
  }

  #writeFiles(options: NodeOptions): void {
    // What a host that was made ready for kubeadm has.
    this.exec(
      ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; mkdir -p /opt/cni/bin && cp /usr/lib/cni/* /opt/cni/bin"],
      20_000,
    );
    this.write(
      "/etc/containerd/config.toml",
      `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
`,
    );
    if (options.cni === false) return;
    this.write(
      "/etc/cni/net.d/05-test.conflist",
      JSON.stringify({
        cniVersion: "0.4.0",
        name: "test",
        plugins: [
          {
            type: "bridge",
            bridge: "cni0",
            isGateway: true,
            ipMasq: false,
            ipam: { type: "host-local", ranges: [[{ subnet: "10.244.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] },
          },
          { type: "portmap", capabilities: { portMappings: true } },
        ],
      }),
    );
  }

  async #startContainerd(): Promise<void> {
    this.service("containerd", ["exec containerd"]);
    await until(
      () => this.exec(["ctr", "version"], 5_000).status === 0,
      30_000,
      () => `containerd of ${this.name} starts\n${this.logOf("containerd")}`,
    );
  }

  /** The environment of every program in the node. */
  get env(): Record<string, string> {
    return {
      PATH: this.#bare ? "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : `${E2E_BIN}:${process.env["PATH"]}`,
      HOME: "/root",
      KUBECONFIG: "/etc/kubernetes/admin.conf",
      TERM: "dumb",
    };
  }

  /** Runs a program in the node to its end. With `check`, a failure throws with its output. */
  exec(command: string[], timeoutMs = 60_000, check = false): Output {
    const out = this.#node.exec(command, this.env, timeoutMs);
    if (check && out.status !== 0)
      throw new Error(`${this.name}: ${command.join(" ")} failed (${out.status}):\n${out.stdout}\n${out.stderr}`);
    return out;
  }

  /** The command of this machine that runs a program in the node. */
  command(command: string[]): string[] {
    const env = Object.entries(this.env).map(([name, value]) => `${name}=${value}`);
    return [...this.#node.enter(), "env", ...env, ...command];
  }

  /** Starts a program in the node and gives the process that ends with it, its output piped. */
  start(command: string[]): ChildProcess {
    return this.#node.start(command, this.env, "pipe");
  }

  /** Starts lines of shell in the node that run until they are killed; their output goes into a log, since a pipe that nobody reads would stop them. */
  service(name: string, lines: string[]): ChildProcess {
    const child = this.start(["bash", "-c", [`exec >/var/log/${name}.log 2>&1`, ...lines].join("\n")]);
    child.unref();
    return child;
  }

  /** The last lines that a service has logged. */
  logOf(name: string): string {
    return this.exec(["tail", "-n", "30", `/var/log/${name}.log`]).stdout;
  }

  /** Runs a program in the node to its end, and does something once it has printed some words; gives how all that went. */
  async runAnd(command: string[], words: string, act: (child: ChildProcess) => void) {
    const child = this.start(command);
    let output = "";
    let reached = false;
    for (const stream of [child.stdout!, child.stderr!])
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (reached || !output.includes(words)) return;
        reached = true;
        act(child);
      });
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.once("close", (...ended) => resolve(ended)),
    );
    return { reached, output, status, signal };
  }

  /** Starts a program in the node and kills it once it has printed some words; gives whether it had, and all that it printed. */
  async killAt(command: string[], words: string, afterMs = 0): Promise<{ killed: boolean; output: string }> {
    const kill = (child: ChildProcess) => setTimeout(() => child.kill("SIGKILL"), afterMs);
    const { reached, signal, output } = await this.runAnd(command, words, kill);
    return { killed: reached && signal === "SIGKILL", output };
  }

  /** What `kubectl` prints in the node. */
  kubectl(...args: string[]): string {
    return this.exec(["kubectl", ...args], 60_000, true).stdout;
  }

  /** Where this machine sees a path of the node. */
  path(path: string): string {
    return this.#node.path(path);
  }

  /** Writes a file of the node. */
  write(path: string, text: string): void {
    const real = this.path(path);
    fs.mkdirSync(join(real, ".."), { recursive: true });
    fs.writeFileSync(real, text);
  }

  /** A file of the node. */
  file(path: string): string {
    return this.exec(["cat", path], 10_000, true).stdout;
  }

  /** Replaces the node's link by two interfaces of this machine: one on the bridge, one in the node, with its address. */
  relink(near: string, far: string): void {
    run("ip", ["link", "set", near, "master", BRIDGE, "up"]);
    run("ip", ["link", "set", far, "netns", this.#link]);
    const script = `ip link del eth0 && ip link set ${far} name eth0 && ip addr add ${this.ip}/24 dev eth0 &&
ip link set eth0 up && ip route add default via ${BRIDGE_ADDRESS}`;
    this.exec(["sh", "-c", script], 10_000, true);
  }

  /** What kubestick could have left in the node: files, processes, mounts, rules of the packet filter. */
  leftovers(): { files: string[]; processes: string[]; mounts: string[]; rules: string[] } {
    const lines = (script: string) =>
      this.exec(["bash", "-c", script], 20_000).stdout.split("\n").filter(Boolean).sort();
    const own = [...OWN_PATHS, ...(this.#bare ? OWN_PATHS_BARE : [])];
    const first = String(this.#node.pid);
    const namespace = namespaceOf(first);
    const pids = processIds().filter((pid) => pid !== first && namespaceOf(pid) === namespace);
    return {
      files: lines(`find ${own.join(" ")} -xdev -type f`),
      processes: pids.map((pid) => fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim()).sort(),
      mounts: lines("awk '{print $5}' /proc/self/mountinfo | grep -E '^/(var/lib/kubelet/.|run/netns/cni-)'"),
      rules: lines("iptables-save | grep KUBE-; nft list tables | grep kube-proxy"),
    };
  }

  /** Ends every process of the node and removes what it was made of. */
  async down(): Promise<void> {
    await this.#node.down();
    // What a run that was killed left under this number goes when its processes have ended.
    if (this.#left) fs.rmSync(this.#left, { recursive: true, force: true });
    this.#left = undefined;
    removeCgroupRoot(this.cgroup, cgroupVersion());
  }
}

/** Waits until something holds, and asks less often the longer it takes: most conditions are a kubectl of their own. Throws with `what` when it does not in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: string | (() => string),
): Promise<void> {
  const begun = Date.now();
  while (!(await condition())) {
    const waited = Date.now() - begun;
    if (waited > timeoutMs)
      throw new Error(`waited ${timeoutMs / 1000} s in vain: ${typeof what === "string" ? what : what()}`);
    await sleep(Math.min(1000, 100 + waited / 10));
  }
}

function namespaceOf(pid: string): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return "";
  }
}
