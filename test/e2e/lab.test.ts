import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { LAB_OVERLAYS, LAB_OWN_DIRS } from "../../lib/constants/lab.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { NamespaceNode } from "../../lib/lab/node.ts";
import { type LabMember, labMembers, loadPlan } from "../../lib/lab/plan.ts";
import { hasBinary } from "../support/binaries.ts";
import { ignoredChecks, KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { attachedExecutable, localBundle } from "../support/local-bundle.ts";
import { until, WORK } from "../support/node.ts";
import { connect, inPod, type PodHost, runPodOn } from "../support/pods.ts";

// Three control planes and two workers, by the lab itself, out of one attached executable.
const dir = join(WORK, "lab");
const NAME = "e2e";
const FLAGS = ["--name", NAME, "--dir", join(dir, "labs")];
const executable = join(dir, "kubestick");
let members: LabMember[] = [];
let program = [executable];

/** Runs a `lab` command of the executable. */
const lab = (...words: string[]) => tryRun(program[0]!, [...program.slice(1), "lab", ...words], 900_000);
/** Runs a command in a node by `lab shell`. */
const inNode = (name: string, ...command: string[]) => lab("shell", name, ...FLAGS, "--", ...command);
const kubectl = (node: string, ...words: string[]) => inNode(node, "kubectl", ...words);
const state = () => JSON.parse(lab("status", ...FLAGS, "-o", "json").stdout) as { nodes: Record<string, unknown>[] };

/** A node and the address of its pod. */
const podHost = (member: LabMember, ip: string): PodHost => ({
  name: member.name,
  podIp: ip,
  exec: (command, timeoutMs) => member.node.exec(command, {}, timeoutMs),
});

beforeAll(async () => {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  // A program that is not there shows in the first test.
  program = [attachedExecutable(localBundle(dir, WORK), executable)];
});
afterAll(() => {
  tryRun(KUBESTICK[0]!, [...KUBESTICK.slice(1), "lab", "down", ...FLAGS], 120_000);
  fs.rmSync(dir, { recursive: true, force: true });
});

/** Runs `lab up` and expects that many nodes, all Ready. */
function up(nodes: number, ...flags: string[]): void {
  const out = lab("up", ...FLAGS, "--nodes", String(nodes), ...flags, ...ignoredChecks());
  expectDone(out);
  expect(state().nodes.map(({ name, role, running, ready }) => [name, role, running, ready])).toEqual(
    Array.from({ length: nodes }, (_, i) => [`${NAME}-${i + 1}`, i < 3 ? "control plane" : "worker", true, true]),
  );
  members = labMembers(join(dir, "labs"), loadPlan(join(dir, "labs"), NAME)!);
}

test("lab up makes three control planes and a worker, all of them Ready", () => {
  up(4, "--control-planes", "3", "--subnet", "10.201.0.0/24");
  for (const { name } of members)
    expect(inNode(name, "cat", "/var/log/kubestick/containerd.log").stdout).not.toMatch(/PullImage/);
});

let hosts: PodHost[] = [];

test("a pod on each node reaches every other pod, and the Service kubernetes", async () => {
  const first = members[0]!.name;
  for (const { name } of members) expect(kubectl(first, ...runPodOn(name)).stderr).toBe("");
  const ips = () => kubectl(first, "get", "pods", "-o", "jsonpath={.items[*].status.podIP}").stdout.trim().split(/\s+/);
  await until(() => ips().length === members.length, 180_000, "every pod has an address");
  // kubectl lists pods by their names, and these are in the nodes' order.
  hosts = members.map((member, i) => podHost(member, ips()[i]!));
  for (const from of hosts) {
    for (const to of hosts) {
      const answer = () => connect(from, to.podIp, 9) === "refused";
      await until(answer, 30_000, `a pod of ${from.name} reaches that of ${to.name}`);
    }
    await until(() => connect(from, "10.96.0.1", 443) === "connected", 60_000, `${from.name}: the Service kubernetes`);
  }
});

test.skipIf(!hasBinary("coredns"))("a pod on each node finds a Service by its name", async () => {
  const script = `const r = new (require("node:dns/promises").Resolver)(); r.setServers(["10.96.0.10"]);
console.log(await r.resolve4("kubernetes.default.svc.cluster.local"))`;
  for (const host of hosts) {
    const ask = () => host.exec(inPod(host, process.execPath, "-e", script), 20_000).stdout.includes("10.96.0.1");
    await until(ask, 120_000, `${host.name}: CoreDNS`);
  }
});

test("an expired token is refused; one made after init joins a node with no restart", async () => {
  const [first, last] = [members[0]!.name, members.at(-1)!.name];
  expect(inNode(last, "kubestick", "reset", "--force").status).toBe(0);
  kubectl(first, "delete", "node", last);
  const create = (...flags: string[]) =>
    inNode(first, "kubestick", "token", "create", "--print-join-command", ...flags)
      .stdout.trim()
      .split(" ");
  const slip = create("--ttl", "1s");
  const listed = () => inNode(first, "kubestick", "token", "list").stdout.split("\n");
  const valid = (line: string) => line.startsWith(slip[slip.indexOf("--token") + 1]!) && !line.includes("<invalid>");
  await until(() => !listed().some(valid), 10_000, "the token's end");
  const refused = inNode(last, ...slip, ...ignoredChecks());
  expect({ status: refused.status, stderr: refused.stderr }).toEqual({
    status: expect.any(Number),
    stderr: expect.stringMatching(/token.*(expired|not signed)|expired/s),
  });
  expect(refused.status).not.toBe(0);
  const joined = inNode(last, ...create());
  expectDone(joined);
  await until(() => state().nodes.every((node) => node["ready"]), 120_000, "every node Ready again");
});

test("one control plane is lost, and the API still serves", async () => {
  process.kill(members[0]!.node.pid!, "SIGKILL");
  const second = members[1]!.name;
  await until(() => kubectl(second, "create", "configmap", "after").status === 0, 60_000, "a write");
  // By the name that stands for all control planes, from a worker.
  const { stdout } = inNode(members[3]!.name, "curl", "-sk", "https://e2e-api:6443/version");
  expect(stdout).toContain("gitVersion");
  expect(state().nodes.find((node) => node["name"] === members[0]!.name)).toMatchObject({ running: false });
});

test("lab up again brings back what stopped, as after a reboot of this machine, and adds a worker", () => {
  for (const { node } of members.slice(1)) process.kill(node.pid!, "SIGKILL");
  up(5);
  expect(kubectl(members[0]!.name, "get", "configmap", "after", "-o", "name").stdout.trim()).toBe("configmap/after");
});

/** Made by mount, ip and the CNI plugins for everybody's use; the node's own program; other nodes' namespaces. */
const NOT_OURS = /^\/run\/(mount|netns)|\/bin\/kubestick$/;

/** What a node has that a host could have left over: processes, mounts, links, routes, rules, files and directories. */
function inventory(node: NamespaceNode): Record<string, string[]> {
  const lines = (...words: string[]) => run(words[0]!, words.slice(1)).split("\n").filter(Boolean).sort();
  const inNode = (script: string) => lines(...node.enter(), "sh", "-c", script);
  const ip = node.spec.address.split("/")[0]!;
  const { dir } = node.spec;
  // Of what a node shares with this machine, only what it wrote: the rest is long, and changes while other tests run.
  const written = [...LAB_OVERLAYS, ...LAB_OWN_DIRS].map((name) => join(dir, name));
  const files = [...lines("find", ...written, "!", "-type", "d"), ...inNode("find /run -xdev ! -type d")];
  return {
    processes: inNode("cat /proc/[0-9]*/comm 2>/dev/null || true").filter((name) => !["sh", "cat"].includes(name)),
    mounts: inNode("awk '{print $5}' /proc/self/mountinfo").filter((path) => !NOT_OURS.test(path)),
    links: inNode("ip -o link | sed 's/^[0-9]*: //; s/[:@].*//'"),
    routes: inNode("ip route; ip -6 route")
      .filter((route) => !route.includes("fe80"))
      .map((route) => route.replace(ip, "IP")),
    rules: inNode("iptables-save; nft list tables").filter((rule) => /^(-A|:KUBE|:CNI)|^table.*kube/.test(rule)),
    files: files.map((path) => path.replace(dir, "")).filter((path) => !NOT_OURS.test(path)),
    directories: inNode("find /var/lib /var/log /run /opt /etc -xdev -type d").filter((path) => !NOT_OURS.test(path)),
  };
}

test("reset leaves each node as it was before", async () => {
  const fresh = new NamespaceNode({
    ...members[1]!.node.spec,
    name: `${NAME}-9`,
    link: "ksl-e2e-9",
    address: "10.201.0.99/24",
    dir: join(dir, "labs", NAME, "fresh"),
  });
  await fresh.up();
  const before = inventory(fresh);
  await fresh.down();
  // Workers first, then the control planes, of which the last ones have nobody to ask any more.
  for (const { name, node } of members.toReversed()) {
    const out = inNode(name, "kubestick", "reset", "--force");
    expectDone(out, { name });
    // Lists of thousands of files: only what differs is worth showing.
    const after = inventory(node);
    for (const [kind, list] of Object.entries(before)) {
      const [missing, more] = [
        list.filter((x) => !after[kind]!.includes(x)),
        after[kind]!.filter((x) => !list.includes(x)),
      ];
      expect({ name, kind, missing, more }).toEqual({ name, kind, missing: [], more: [] });
    }
  }
});

test("lab down leaves nothing of the lab on this machine", () => {
  expect(lab("down", ...FLAGS).status).toBe(0);
  expect(fs.existsSync(join(dir, "labs", NAME))).toBe(false);
  const links = fs.readdirSync("/sys/class/net").filter((name) => name.startsWith("ksl-e2e"));
  const namespaces = fs.readdirSync("/run/netns").filter((name) => name.startsWith("ksl-e2e"));
  const mounts = fs
    .readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(dir));
  // In every hierarchy, systemd's own among them.
  const hierarchies = ["/sys/fs/cgroup", ...fs.readdirSync("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`)];
  const cgroups = hierarchies
    .filter((path) => fs.statSync(path).isDirectory())
    .flatMap((path) => fs.readdirSync(path).filter((name) => name.startsWith("kubestick-e2e-")));
  expect({ links, namespaces, mounts, cgroups }).toEqual({ links: [], namespaces: [], mounts: [], cgroups: [] });
  expect(lab("down", ...FLAGS).status).toBe(0);
});
