import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ignoredChecks, joinWith, KUBESTICK, nodeConfig } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode, until } from "../support/node.ts";
import { connect, type PodHost, runPodOn } from "../support/pods.ts";

const podIp = (cp: TestNode, node: string) =>
  cp.exec(["kubectl", "get", "pod", `p-${node}`, "-o", "jsonpath={.status.podIP}"]).stdout;
function initWithConfig(node: TestNode, config: string): string[] {
  node.write("/etc/kubernetes/kubestick.yaml", config);
  return [...KUBESTICK, "init", "--config=/etc/kubernetes/kubestick.yaml", ...ignoredChecks()];
}

describe("a host that had other networks before", () => {
  const node = new TestNode("on1");
  const PODMAN = "/etc/cni/net.d/87-podman-bridge.conflist";
  const others = () => ({
    podman: node.exec(["cat", PODMAN, "/var/lib/cni/networks/podman/10.88.0.5"]).stdout,
    calico: node.exec(["sh", "-c", "iptables-save -t nat | grep cali-"]).stdout,
  });
  const addresses = () => node.exec(["ip", "-4", "-o", "addr", "show", "dev", "kubestick0"]).stdout.match(/inet \S+/g);

  beforeAll(async () => {
    await node.up({ cni: false });
    const plugins = [{ type: "bridge", bridge: "cni-podman0", ipam: { type: "host-local", subnet: "10.88.0.0/16" } }];
    node.write(PODMAN, JSON.stringify({ cniVersion: "0.4.0", name: "podman", plugins }));
    node.write("/var/lib/cni/networks/podman/10.88.0.5", "a container of podman's");
    const script = `iptables -t nat -N cali-PREROUTING; iptables -t nat -A PREROUTING -j cali-PREROUTING
ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up`;
    node.exec(["sh", "-ec", script], 60_000, true);
  });
  afterAll(() => node.down());

  /** Runs init, waits for a pod's address, and gives what init warned of. */
  async function init(subnet: string): Promise<string> {
    const config = nodeConfig(node).replace(/^networking: .*$/m, `networking: {podSubnet: ${subnet}}`);
    const out = node.exec(initWithConfig(node, config), 300_000);
    expect({ status: out.status, stderr: out.status === 0 ? "" : out.stderr }).toEqual({ status: 0, stderr: "" });
    node.exec(["ip", "link", "del", "cni0"]);
    await until(() => node.kubectl("get", "nodes").includes(" Ready "), 120_000, "the node is Ready");
    await until(() => node.exec(["kubectl", ...runPodOn("on1")]).status === 0, 60_000, "a pod is made");
    await until(
      () => podIp(node, "on1") !== "",
      120_000,
      () => `the pod has an address: ${node.kubectl("describe", "pods")}`,
    );
    return out.stderr;
  }

  test("is warned of a bridge in the pods' range, and pods do not get podman's addresses", async () => {
    const before = others();
    expect(before).toEqual({
      podman: expect.stringContaining("podman's"),
      calico: expect.stringContaining("-j cali-"),
    });
    expect(await init("10.244.0.0/16")).toContain(
      "[PodNetwork] the route to 10.244.0.0/24 on cni0 lies in the range of the pods, 10.244.0.0/16; remove what an earlier network left (ip link del cni0)",
    );
    const ips = () => node.kubectl("get", "pods", "-A", "-o", "jsonpath={.items[*].status.podIP}").trim().split(/\s+/);
    expect(ips().filter((ip) => ip !== node.ip && !ip.startsWith("10.244.0."))).toEqual([]);
    expectDone(node.exec([...KUBESTICK, "reset", "--force"], 120_000));
    expect(others()).toEqual(before);
    expect(node.exec(["ls", "/var/lib/cni/networks"]).stdout).toBe("podman\n");
  });

  test("gives pods addresses of the new network after a reset, whatever is left of the old one", async () => {
    const before = others();
    // As after a power cut in the middle of the reset.
    const script =
      "ip link add kubestick0 type bridge; ip addr add 10.244.0.1/24 dev kubestick0; ip link set kubestick0 up";
    node.exec(["sh", "-ec", script], 60_000, true);
    await init("10.200.0.0/16");
    expect(podIp(node, "on1")).toStartWith("10.200.0.");
    expect(addresses()).toEqual(["inet 10.200.0.1/24"]);
    // A Node that registers anew has another network of pods.
    node.kubectl("delete", "node", "on1");
    node.exec(["pkill", "-x", "kubelet"]);
    const cidr = () => node.exec(["kubectl", "get", "node", "on1", "-o", "jsonpath={.spec.podCIDR}"]).stdout;
    await until(() => cidr() !== "", 120_000, "the node registers again");
    const bridge = cidr().replace(".0/24", ".1/24");
    await until(() => node.file("/etc/cni/net.d/10-kubestick.conflist").includes(cidr()), 60_000, "the new network");
    node.kubectl("delete", "pod", "p-on1", "--ignore-not-found");
    node.kubectl(...runPodOn("on1"));
    await until(
      () => podIp(node, "on1").startsWith(cidr().replace(/0\/24$/, "")),
      120_000,
      () => `the pod: ${podIp(node, "on1")}`,
    );
    expect(addresses()).toEqual([`inet ${bridge}`]);
    expectDone(node.exec([...KUBESTICK, "reset", "--force"], 120_000));
    expect(others()).toEqual(before);
    expect(node.leftovers().files).toEqual(["/etc/kubernetes/kubestick.yaml"]);
  });
});

describe("nodes that all have the same address towards the outside, by a tunnel", () => {
  const nodes = ["on2", "on3"].map((name) => new TestNode(name));
  const [cp, worker] = nodes as [TestNode, TestNode];

  beforeAll(async () => {
    for (const node of nodes) {
      await node.up({ cni: false });
      // As VirtualBox gives them, and as narrow as WireGuard.
      const script = `ip link add nat0 type bridge; ip link set nat0 mtu 1420 up; ip addr add 10.0.2.15/24 dev nat0
ip route replace default via 10.0.2.2 dev nat0`;
      node.exec(["sh", "-ec", script], 60_000, true);
    }
  });
  afterAll(async () => {
    for (const node of nodes) await node.down();
  });

  test("are known by the address on the cluster's network, and their pods' packets fit through both", async () => {
    const config = nodeConfig(cp).replace("bootstrapTokens:", `localAPIEndpoint: {advertiseAddress: ${cp.ip}}\n$&`);
    const first = cp.exec(initWithConfig(cp, config), 300_000);
    expectDone(first);
    const pin = /sha256:[0-9a-f]{64}/.exec(first.stdout)![0];
    const second = worker.exec(joinWith(worker, { endpoint: `${cp.ip}:6443`, pin }), 300_000);
    expectDone(second);
    for (const [node, { stdout }] of [
      [cp, first],
      [worker, second],
    ] as const)
      expect(stdout).toContain(
        `kubelet node-ip: ${node.ip} (because it looks at the default route's interface, nat0, and the cluster is on eth0)`,
      );
    const ready = () => cp.kubectl("get", "nodes", "-o", "wide");
    await until(
      () => ready().match(/ Ready /g)?.length === 2,
      120_000,
      () => `both nodes Ready: ${ready()}`,
    );
    expect(ready()).not.toContain("10.0.2.15");
    for (const { name } of nodes) cp.kubectl(...runPodOn(name));
    await until(() => nodes.every(({ name }) => podIp(cp, name) !== ""), 120_000, "every pod has an address");
    for (const [from, to] of [nodes, nodes.toReversed()] as [TestNode, TestNode][]) {
      const pod: PodHost = {
        name: from.name,
        podIp: podIp(cp, from.name),
        exec: (command, ms) => from.exec(command, ms),
      };
      await until(
        () => connect(pod, podIp(cp, to.name), 9) === "refused",
        30_000,
        `a pod of ${from.name} reaches ${to.name}'s`,
      );
      expect(from.file("/etc/cni/net.d/10-kubestick.conflist")).toContain('"mtu": 1420');
    }
  });
});
