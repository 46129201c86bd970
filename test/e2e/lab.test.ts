import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { tryRun } from "../../lib/host/process.ts";
import { NamespaceNode } from "../../lib/lab/node.ts";
import { type LabMember, labMembers, loadPlan } from "../../lib/lab/plan.ts";
import { hasBinary, PAUSE_IMAGE } from "../support/binaries.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { attachedExecutable, ignoredChecks, localBundle } from "../support/local-bundle.ts";
import { until } from "../support/node.ts";
import { connect, inPod, type PodHost } from "../support/pods.ts";

// Three control planes and two workers, by the lab itself, out of one attached executable.
const WORK = process.env["KUBESTICK_E2E_WORK"] ?? "/var/tmp/kubestick-e2e";
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

test("lab up makes three control planes and two workers, all of them Ready", () => {
  const flags = ["--nodes", "5", "--control-planes", "3", "--subnet", "10.201.0.0/24", ...ignoredChecks()];
  const out = lab("up", ...FLAGS, ...flags);
  expect({ status: out.status, stderr: out.status === 0 ? "" : out.stdout + out.stderr }).toEqual({
    status: 0,
    stderr: "",
  });
  expect(state().nodes.map(({ name, role, ready }) => [name, role, ready])).toEqual(
    [1, 2, 3, 4, 5].map((i) => [`${NAME}-${i}`, i <= 3 ? "control plane" : "worker", true]),
  );
  members = labMembers(join(dir, "labs"), loadPlan(join(dir, "labs"), NAME)!);
  for (const { name } of members)
    expect(inNode(name, "cat", "/var/log/kubestick/containerd.log").stdout).not.toMatch(/PullImage/);
});

let hosts: PodHost[] = [];

test("a pod on each node reaches every other pod, and the Service kubernetes", async () => {
  const first = members[0]!.name;
  for (const { name } of members) {
    const spec = { nodeName: name, tolerations: [{ operator: "Exists" }], terminationGracePeriodSeconds: 0 };
    const flags = [`--image=${PAUSE_IMAGE}`, "--image-pull-policy=Never", `--overrides=${JSON.stringify({ spec })}`];
    expect(kubectl(first, "run", `p-${name}`, ...flags).stderr).toBe("");
  }
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
  await until(() => !inNode(first, "kubestick", "token", "list").stdout.includes("0s"), 10_000, "the token's end");
  const refused = inNode(last, ...slip, ...ignoredChecks());
  expect({ status: refused.status, stderr: refused.stderr }).toEqual({
    status: expect.any(Number),
    stderr: expect.stringMatching(/token.*(expired|not signed)|expired/s),
  });
  expect(refused.status).not.toBe(0);
  const joined = inNode(last, ...create());
  expect({ status: joined.status, stderr: joined.status === 0 ? "" : joined.stderr }).toEqual({
    status: 0,
    stderr: "",
  });
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

/** Made by mount, ip and the CNI plugins for everybody's use; the node's own program; other nodes' namespaces. */
const NOT_OURS = "^/run/(mount|netns)|/bin/kubestick$";

/** What a node has that a host could have left over: processes, mounts, links, routes, rules and files. */
function inventory(node: NamespaceNode): Record<string, string[]> {
  const lines = (script: string) =>
    node.exec(["sh", "-c", script], {}, 20_000).stdout.split("\n").filter(Boolean).sort();
  const ip = node.spec.address.split("/")[0]!;
  return {
    processes: lines("for p in /proc/[0-9]*; do cat $p/comm; done 2>/dev/null | grep -vx 'sh\\|cat\\|sort'"),
    mounts: lines(`awk '{print $5}' /proc/self/mountinfo | grep -vE '${NOT_OURS}'`),
    links: lines("ip -o link | sed 's/^[0-9]*: //; s/[:@].*//'"),
    routes: lines("ip route; ip -6 route | grep -v fe80").map((route) => route.replace(ip, "IP")),
    rules: lines("iptables-save | grep -E '^(-A|:KUBE|:CNI)'; nft list tables | grep kube"),
    files: lines(`find /etc /opt /usr /var/lib /var/log /run -xdev ! -type d | grep -vE '${NOT_OURS}'`),
    directories: lines(`find /var/lib /var/log /run /opt /etc -xdev -type d | grep -vE '${NOT_OURS}'`),
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
  for (const { name, node } of members.slice(1).reverse()) {
    const out = inNode(name, "kubestick", "reset", "--force");
    expect({ name, status: out.status, stderr: out.status === 0 ? "" : out.stderr }).toEqual({
      name,
      status: 0,
      stderr: "",
    });
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
  expect({ links, namespaces, mounts }).toEqual({ links: [], namespaces: [], mounts: [] });
  expect(lab("down", ...FLAGS).status).toBe(0);
});
