import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:net";
import { parseCidr, parseIp } from "../../lib/net/ip.ts";
import { initCommand, joinWith, KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { BRIDGE_ADDRESS, TestNode, until } from "../support/node.ts";
import { connect, inPod, type PodHost, runPodOn } from "../support/pods.ts";

const nodes = ["net1", "net2", "net3"].map((name) => new TestNode(name));
const [cp, left, right] = nodes as [TestNode, TestNode, TestNode];
const podIps = new Map<string, string>();

beforeAll(async () => {
  for (const node of nodes) await node.up({ cni: false });
  const out = cp.exec(initCommand(cp), 300_000);
  expectDone(out);
  const pin = /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
  for (const node of [left, right]) expectDone(node.exec(joinWith(node, { endpoint: `${cp.ip}:6443`, pin }), 300_000));
});
afterAll(async () => {
  for (const node of nodes) await node.down();
});

const ready = (kind: string, jsonpath: string) =>
  cp.exec(["kubectl", "get", kind, "-A", "-o", `jsonpath=${jsonpath}`]).stdout;

/** A node with the address of its pod. */
const pod = (node: TestNode): PodHost => ({
  name: node.name,
  podIp: podIps.get(node.name)!,
  exec: (command, timeoutMs) => node.exec(command, timeoutMs),
});

test("every node becomes Ready, with the agent's network configuration", async () => {
  const conditions = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}';
  await until(() => ready("nodes", conditions).trim() === "net1=True net2=True net3=True", 120_000, "all nodes Ready");
  for (const node of nodes)
    expect(node.file("/etc/cni/net.d/10-kubestick.conflist")).toContain('"bridge": "kubestick0"');
});

test("a pod on each node reaches every other pod, and a Service", async () => {
  for (const { name } of nodes) cp.kubectl(...runPodOn(name));
  const ip = (node: TestNode) => cp.kubectl("get", "pod", `p-${node.name}`, "-o", "jsonpath={.status.podIP}");
  await until(() => nodes.every((node) => ip(node) !== ""), 180_000, "every pod has an address");
  for (const node of nodes) podIps.set(node.name, ip(node));
  await until(() => connect(pod(left), podIps.get("net3")!, 9) === "refused", 30_000, "routes");
  for (const from of nodes) {
    for (const to of nodes) {
      const seen = connect(pod(from), podIps.get(to.name)!, 9);
      expect({ from: from.name, to: to.name, seen }).toEqual({ from: from.name, to: to.name, seen: "refused" });
    }
    await until(
      () => connect(pod(from), "10.96.0.1", 443) === "connected",
      60_000,
      `${from.name}: the Service kubernetes`,
    );
  }
});

test("only what leaves the cluster is masqueraded", async () => {
  const peers: string[] = [];
  const server = createServer((socket) => {
    peers.push(socket.remoteAddress!);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, BRIDGE_ADDRESS, resolve));
  const { port } = server.address() as { port: number };
  const ask = inPod(pod(left), "timeout", "3", "bash", "-c", `exec 3<>/dev/tcp/${BRIDGE_ADDRESS}/${port}; cat <&3`);
  await until(
    async () => (await Bun.spawn(left.command(ask), { stdout: "ignore", stderr: "ignore" }).exited) === 0,
    30_000,
    "a pod reaches a host outside the cluster",
  );
  server.close();
  expect([...new Set(peers)]).toEqual([left.ip]);
  const table = left.exec(["nft", "list", "table", "ip", "kubestick"], 10_000, true).stdout;
  for (const { ip } of nodes)
    expect({ ip, excepted: excepted(table).some((range) => inRange(range, ip)) }).toEqual({ ip, excepted: true });
});

/** What the rule excepts, as nft writes it: addresses, networks, and neighbours as ranges. */
const excepted = (table: string) => /ip daddr != \{ ([^}]+) \}/.exec(table)![1]!.split(/,\s*/);

function inRange(range: string, ip: string): boolean {
  const [from, to = from] = range.split("-").map((text) => parseCidr(text.includes("/") ? text : `${text}/32`)!);
  const value = parseIp(ip)!.value;
  return value >= from!.base && value < to!.base + (1n << BigInt(32 - to!.bits));
}

test("a node that is deleted loses its routes on the others, and gets them back after a restart of the agent", async () => {
  const routes = () => cp.exec(["ip", "route", "show", "proto", "75"]).stdout;
  expect(routes()).toContain(`via ${right.ip}`);
  right.exec([...KUBESTICK, "reset", "--force"], 120_000, true);
  cp.kubectl("delete", "node", "net3");
  await until(() => !routes().includes(`via ${right.ip}`), 30_000, "the stale route goes");
  cp.exec(["ip", "route", "flush", "proto", "75"], 10_000, true);
  const pid = cp.file("/run/kubestick/kubestick-agent.pid").trim();
  cp.exec(["kill", "-HUP", pid], 10_000, true);
  await until(() => routes().includes(`via ${left.ip}`), 30_000, "the agent makes the routes anew");
  expect(right.leftovers()).toEqual({
    files: ["/etc/kubernetes/join.yaml"],
    processes: ["containerd", "sleep"],
    mounts: [],
    rules: [],
  });
  // Somebody else's containerd 2 would end without it.
  expect(right.exec(["ls", "/etc/cni/net.d"])).toMatchObject({ status: 0, stdout: "" });
  expect(right.exec(["ip", "link", "show", "kubestick0"]).status).not.toBe(0);
  expect(right.exec(["nft", "list", "tables"]).stdout).not.toContain("kubestick");
});
