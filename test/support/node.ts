import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Output, run, tryRun } from "../../lib/host/process.ts";
import { componentImages, E2E_BIN, PAUSE_IMAGE } from "./binaries.ts";

const BRIDGE = "kstest0";
const SUBNET = "10.99.0";
const CGROUPS = "/sys/fs/cgroup";

/** Directories that every node has for itself. */
const OWN_DIRS = [
  "etc/kubernetes",
  "etc/containerd",
  "etc/cni",
  "opt/cni",
  "var/lib/kubelet",
  "var/lib/containerd",
  "var/lib/etcd",
  "var/lib/kubestick",
  "var/lib/cni",
  "var/log/pods",
  "var/log/containers",
  "var/log/kubestick",
  "run/containerd",
  "run/kubestick",
  "etc/sysctl.d",
  "etc/modules-load.d",
  "opt/kubestick",
];

/** What a test may choose of a node. */
export interface NodeOptions {
  /** What its /etc/resolv.conf says; default a loopback nameserver only. */
  resolvConf?: string;
  /** Whether it has a route beyond the bridge. */
  defaultRoute?: boolean;
  /** Whether containerd runs in it, with the images; default true. */
  containerd?: boolean;
  /** Whether it has the tests' own network configuration; default true. */
  cni?: boolean;
  /** More lines of its /etc/hosts. */
  hosts?: string;
  /** Whether it is a bare board: no containerd, runc, CNI plugins, kubelet, kubectl, and no configuration of them. */
  bare?: boolean;
}

/** What a bare node's /usr lacks. */
const NOT_ON_BARE = "bin/containerd* bin/ctr bin/runc sbin/runc bin/kube* local/bin/kube* bin/crictl lib/cni";

/**
 * A throw-away host: network, mount and UTS namespaces of its own on this machine's kernel, with containerd and the
 * images in it, and no route beyond the test bridge. `ip netns exec` would remount /sys and hide the cgroups, so it is
 * entered by nsenter.
 */
export class TestNode {
  readonly name: string;
  readonly ip: string;
  readonly dir: string;
  readonly cgroup: string;
  #holder: ChildProcess | undefined;
  #bare = false;

  constructor(name: string, index: number, work: string) {
    this.name = name;
    this.ip = `${SUBNET}.${10 + index}`;
    this.dir = join(work, "nodes", name);
    this.cgroup = `kstest-${name}`;
  }

  /** Makes the node and starts containerd in it. */
  async up(work: string, options: NodeOptions = {}): Promise<this> {
    this.down();
    // Other test files may make it at the same moment; whoever comes second finds it there.
    tryRun("ip", ["link", "add", BRIDGE, "type", "bridge"]);
    tryRun("ip", ["addr", "add", `${SUBNET}.1/24`, "dev", BRIDGE]);
    run("ip", ["link", "set", BRIDGE, "up"]);
    const ns = this.cgroup;
    const veth = `ks-${this.name}`.slice(0, 15);
    run("ip", ["netns", "add", ns]);
    run("ip", ["link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", ns]);
    run("ip", ["link", "set", veth, "master", BRIDGE, "up"]);
    run("ip", ["-n", ns, "addr", "add", `${this.ip}/24`, "dev", "eth0"]);
    run("ip", ["-n", ns, "link", "set", "lo", "up"]);
    run("ip", ["-n", ns, "link", "set", "eth0", "up"]);
    if (options.defaultRoute !== false) run("ip", ["-n", ns, "route", "add", "default", "via", `${SUBNET}.1`]);
    for (const dir of OWN_DIRS) fs.mkdirSync(join(this.dir, dir), { recursive: true });
    this.#writeFiles(options);
    for (const controller of fs.readdirSync(CGROUPS)) {
      const path = join(CGROUPS, controller);
      if (fs.lstatSync(path).isDirectory()) fs.mkdirSync(join(path, this.cgroup), { recursive: true });
    }
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const parent = join(CGROUPS, "cpuset", file);
      if (fs.existsSync(parent)) fs.writeFileSync(join(CGROUPS, "cpuset", this.cgroup, file), fs.readFileSync(parent));
    }
    const script = join(this.dir, "hold.sh");
    const ready = join(this.dir, "ready");
    this.#bare = options.bare ?? false;
    fs.writeFileSync(script, this.#holdScript(ready));
    const log = fs.openSync(join(this.dir, "hold.log"), "w");
    this.#holder = spawn(
      "nsenter",
      [`--net=/run/netns/${ns}`, "unshare", "-m", "-u", "--propagation", "private", "bash", script],
      {
        detached: true,
        stdio: ["ignore", log, log],
      },
    );
    this.#holder.unref();
    await until(
      () => fs.existsSync(ready),
      10_000,
      `node ${this.name}: ${fs.readFileSync(join(this.dir, "hold.log"), "utf8")}`,
    );
    if (options.containerd === false || options.bare) return this;
    await this.#startContainerd();
    this.exec(["ctr", "-n", "k8s.io", "images", "import", componentImages(work)], 180_000, true);
    return this;
  }

  #writeFiles(options: NodeOptions): void {
    const write = (path: string, text: string) => fs.writeFileSync(join(this.dir, path), text);
    write("hosts", `127.0.0.1 localhost\n${this.ip} ${this.name}\n${options.hosts ?? ""}`);
    write("resolv.conf", options.resolvConf ?? "nameserver 127.0.0.1\n");
    if (options.bare) return;
    fs.mkdirSync(join(this.dir, "opt/cni/bin"), { recursive: true });
    fs.mkdirSync(join(this.dir, "etc/cni/net.d"), { recursive: true });
    for (const plugin of fs.existsSync("/usr/lib/cni") ? fs.readdirSync("/usr/lib/cni") : []) {
      fs.copyFileSync(join("/usr/lib/cni", plugin), join(this.dir, "opt/cni/bin", plugin));
    }
    write(
      "etc/containerd/config.toml",
      `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
`,
    );
    if (options.cni === false) return;
    write(
      "etc/cni/net.d/10-test.conflist",
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

  #holdScript(ready: string): string {
    const binds = OWN_DIRS.map((dir) => `mkdir -p /${dir}; mount --bind ${this.dir}/${dir} /${dir}`).join("\n");
    const bare = `mkdir -p ${this.dir}/usr ${this.dir}/usr-work
mount -t overlay overlay -o lowerdir=/usr,upperdir=${this.dir}/usr,workdir=${this.dir}/usr-work /usr
cd /usr; rm -rf ${NOT_ON_BARE}; cd /`;
    return `set -e
mount --make-rshared /
${binds}
${this.#bare ? bare : ""}
mount --bind ${this.dir}/hosts /etc/hosts
mount --bind ${this.dir}/resolv.conf /etc/resolv.conf
hostname ${this.name}
echo 1 > /proc/sys/net/ipv4/ip_forward
echo $$ > ${this.dir}/pid
touch ${ready}
exec sleep infinity
`;
  }

  async #startContainerd(): Promise<void> {
    const log = fs.openSync(join(this.dir, "containerd.log"), "w");
    const child = spawn("nsenter", [...this.#enter(), "containerd"], {
      detached: true,
      stdio: ["ignore", log, log],
      env: this.env,
    });
    child.unref();
    await until(
      () => this.exec(["ctr", "version"], 5_000).status === 0,
      30_000,
      `containerd of ${this.name} did not start`,
    );
  }

  get #pid(): string {
    return fs.readFileSync(join(this.dir, "pid"), "utf8").trim();
  }

  #enter(): string[] {
    return ["-t", this.#pid, "-m", "-u", "-n", "--"];
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
    const env = Object.entries(this.env).map(([k, v]) => `${k}=${v}`);
    const out = tryRun("nsenter", [...this.#enter(), "env", ...env, ...command], timeoutMs);
    if (check && out.status !== 0)
      throw new Error(`${this.name}: ${command.join(" ")} failed (${out.status}):\n${out.stdout}\n${out.stderr}`);
    return out;
  }

  /** The command of this machine that runs a program in the node. */
  command(command: string[]): string[] {
    return ["nsenter", ...this.#enter(), ...command];
  }

  /** Starts a program in the node and gives the process, its output piped. */
  start(command: string[]): ChildProcess {
    return spawn("nsenter", [...this.#enter(), ...command], { stdio: ["ignore", "pipe", "pipe"], env: this.env });
  }

  /** What `kubectl` prints in the node. */
  kubectl(...args: string[]): string {
    return this.exec(["kubectl", ...args], 60_000, true).stdout;
  }

  /** Writes a file in one of the node's own directories. */
  write(path: string, text: string): void {
    fs.writeFileSync(join(this.dir, path), text);
  }

  /** A file of the node. */
  file(path: string): string {
    return this.exec(["cat", path], 10_000, true).stdout;
  }

  /** What kubestick could have left in the node: files, processes, mounts, rules of the packet filter. */
  leftovers(): { files: string[]; processes: string[]; mounts: string[]; rules: string[] } {
    const lines = (script: string) =>
      this.exec(["bash", "-c", script], 20_000).stdout.split("\n").filter(Boolean).sort();
    const own = OWN_DIRS.filter((dir) => !/containerd|cni/.test(dir) || this.#bare).map((dir) => `/${dir}`);
    const namespace = this.exec(["readlink", "/proc/self/ns/net"], 5_000).stdout.trim();
    const pids = fs.readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && namespaceOf(pid) === namespace);
    return {
      files: lines(`find ${own.join(" ")} -xdev -type f`),
      processes: pids.map((pid) => fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim()).sort(),
      mounts: lines("awk '{print $5}' /proc/self/mountinfo | grep -E '^/(var/lib/kubelet/.|run/netns/cni-)'"),
      rules: lines("iptables-save | grep KUBE-; nft list tables | grep kube-proxy"),
    };
  }

  /** Ends every process of the node, by its network namespace, and removes what it was made of. */
  down(): void {
    const ns = this.cgroup;
    const identity = tryRun("stat", ["-Lc", "%i", `/run/netns/${ns}`]).stdout.trim();
    for (let round = 0; identity !== "" && round < 20; round++) {
      const pids = fs
        .readdirSync("/proc")
        .filter((pid) => /^\d+$/.test(pid) && namespaceOf(pid) === `net:[${identity}]`);
      if (pids.length === 0) break;
      for (const pid of pids) tryRun("kill", ["-9", pid]);
      Bun.sleepSync(50);
    }
    this.#killCgroup();
    tryRun("ip", ["netns", "del", ns]);
    tryRun("ip", ["link", "del", `ks-${this.name}`.slice(0, 15)]);
    tryRun("bash", ["-c", `grep -o ' ${this.dir}[^ ]*' /proc/mounts | sort -r | xargs -r -n1 umount -l`]);
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  /** Containers with a network of their own are found by the node's cgroup. */
  #killCgroup(): void {
    const roots = [this.cgroup, `kubestick-${this.name}`];
    for (const path of fs.readdirSync(CGROUPS).flatMap((c) => roots.map((root) => join(CGROUPS, c, root)))) {
      if (!fs.existsSync(path)) continue;
      tryRun("bash", [
        "-c",
        `find ${path} -name cgroup.procs -exec cat {} + | sort -u | xargs -r kill -9; sleep 0.1; find ${path} -depth -type d -exec rmdir {} + 2>/dev/null`,
      ]);
    }
  }
}

/** Waits until something holds. Throws with `what` when it does not in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await sleep(100);
  }
}

function namespaceOf(pid: string): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return "";
  }
}
