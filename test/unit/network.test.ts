import { describe, expect, test } from "bun:test";
import { Files } from "../../lib/host/files.ts";
import { mountsBelow } from "../../lib/host/mounts.ts";
import { kubeconfig, readKubeconfig, withServer } from "../../lib/kubeconfig/kubeconfig.ts";
import { cniConfig, masqueradeRules, type NodeNetwork, nodeNetwork, routesTo } from "../../lib/network/flat.ts";
import { foreignCniConfig } from "../../lib/node/agent.ts";
import { lastTime, neverInThePast, noteTime } from "../../lib/node/clock.ts";
import { networkObjects, providerObjects } from "../../lib/phases/network.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { testCa } from "../support/api-double.ts";

const node = (i: number, dual = false): NodeNetwork => ({
  name: `n${i}`,
  addresses: [`10.0.0.${i}`, ...(dual ? [`fd00::${i}`] : [])],
  podCidrs: [`10.244.${i}.0/24`, ...(dual ? [`fd01:0:0:${i}::/64`] : [])],
});

describe("flat network", () => {
  test("reads Nodes, also ones that have nothing yet", () => {
    const object = {
      metadata: { name: "n1" },
      spec: { podCIDR: "10.244.1.0/24", podCIDRs: ["10.244.1.0/24", "fd01:0:0:1::/64"] },
      status: {
        addresses: [
          { type: "Hostname", address: "n1" },
          { type: "InternalIP", address: "10.0.0.1" },
          { type: "InternalIP", address: "fd00::1" },
        ],
      },
    };
    expect(nodeNetwork(object)).toEqual(node(1, true));
    expect(nodeNetwork({ metadata: { name: "new" } })).toEqual({ name: "new", addresses: [], podCidrs: [] });
    expect(nodeNetwork({ metadata: { name: "old" }, spec: { podCIDR: "10.1.0.0/24" } }).podCidrs).toEqual([
      "10.1.0.0/24",
    ]);
  });

  test("what a node claims that is no address reaches no rule", () => {
    const hostile = {
      metadata: { name: "evil" },
      spec: { podCIDRs: ["10.244.7.0/24", "10.244.8.0/24 } accept; {", "10.0.0.0/33"] },
      status: {
        addresses: ["10.0.0.7; flush ruleset", "fe80::1%eth0", "--help", "10.0.0.7"].map((address) => ({
          type: "InternalIP",
          address,
        })),
      },
    };
    expect(nodeNetwork(hostile)).toEqual({ name: "evil", addresses: ["10.0.0.7"], podCidrs: ["10.244.7.0/24"] });
  });

  test("routes go to every other node by its address of the same family, and not to one without", () => {
    const nodes = [node(1, true), node(2, true), node(3), { ...node(4), addresses: ["fd00::4"] }];
    expect(routesTo(nodes, "n1")).toEqual([
      { cidr: "10.244.2.0/24", via: "10.0.0.2" },
      { cidr: "10.244.3.0/24", via: "10.0.0.3" },
      { cidr: "fd01:0:0:2::/64", via: "fd00::2" },
    ]);
  });

  test("only this node's pods are masqueraded, and neither pods nor nodes are outside", () => {
    const rules = masqueradeRules([node(1), node(2)], node(1));
    expect(rules).toContain(
      "ip saddr { 10.244.1.0/24 } ip daddr != { 10.0.0.1, 10.0.0.2, 10.244.1.0/24, 10.244.2.0/24 } masquerade",
    );
    expect(rules).not.toContain("ip6");
    expect(masqueradeRules([node(1, true)], node(1, true))).toContain("ip6 saddr { fd01:0:0:1::/64 }");
  });

  test("pods get addresses of each family, and the interface's MTU", () => {
    const config = JSON.parse(cniConfig(node(1, true).podCidrs, 1450)) as {
      plugins: { mtu?: number; ipMasq?: boolean; ipam?: { ranges: unknown; routes: unknown } }[];
    };
    expect(config.plugins[0]).toMatchObject({ mtu: 1450, ipMasq: false });
    expect(config.plugins[0]!.ipam).toMatchObject({
      ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd01:0:0:1::/64" }]],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
    });
  });

  test("another network's configuration is seen, kubestick's own is not", () => {
    const files = new Files("/", { overlay: true });
    files.write("/etc/cni/net.d/10-kubestick.conflist", "{}");
    const before = foreignCniConfig(files);
    files.write("/etc/cni/net.d/05-flannel.conflist", "{}");
    expect([before, foreignCniConfig(files)]).toEqual([undefined, "/etc/cni/net.d/05-flannel.conflist"]);
  });

  test("every node may see the others, and the cluster says which network it has", () => {
    const kinds = networkObjects("flat").map((o) => (o as { kind: string }).kind);
    expect(kinds).toEqual(["ConfigMap", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]);
  });

  test("a provider's manifest is taken object by object, and nonsense is refused", () => {
    expect(providerObjects("f", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n", undefined)).toHaveLength(
      1,
    );
    expect(() => providerObjects("f", "just text", undefined)).toThrow("no Kubernetes object");
    expect(() => providerObjects("f", undefined, undefined)).toThrow("there is no such file");
  });
});

describe("reset", () => {
  test("unmounts what lies below, deepest first, and knows escaped blanks", () => {
    const line = (point: string) => `1 2 0:1 / ${point} rw - tmpfs tmpfs rw`;
    const info = [
      "/",
      "/var/lib/kubelet/pods/a",
      "/var/lib/kubelet/pods/a/vol\\040b",
      "/var/lib/kubelet2",
      "/var/lib/kubelet",
    ]
      .map(line)
      .join("\n");
    expect(mountsBelow(info, ["/var/lib/kubelet"])).toEqual([
      "/var/lib/kubelet/pods/a/vol b",
      "/var/lib/kubelet/pods/a",
    ]);
  });
});

test("a kubeconfig is pointed to another server and stays the same otherwise", async () => {
  const ca = await testCa();
  const text = writeYaml(kubeconfig("kubernetes", "u", "https://a:6443", ca.ca, { token: "t" }));
  const moved = withServer(text, "https://b:6443", "x.conf");
  expect(readKubeconfig(moved, "f", () => undefined)).toEqual({
    ...readKubeconfig(text, "f", () => undefined),
    server: "https://b:6443",
  });
});

test("a kubeconfig's current context must be one of its contexts; without one its first cluster counts", async () => {
  const ca = await testCa();
  const config = kubeconfig("kubernetes", "u", "https://a:6443", ca.ca, { token: "t" });
  const read = (current: string) => readKubeconfig(writeYaml({ ...config, "current-context": current }), "f", () => "");
  expect(read("").server).toBe("https://a:6443");
  expect(() => read("other")).toThrow(
    'f is not a usable kubeconfig: its current context "other" is not one of its contexts',
  );
});

test("the last time is kept, and a clock after it is left alone", () => {
  const files = new Files("/", { overlay: true });
  expect(lastTime(files)).toBeUndefined();
  noteTime(files, new Date("2026-11-24T10:00:00Z"));
  expect(lastTime(files)?.toISOString()).toBe("2026-11-24T10:00:00.000Z");
  expect(neverInThePast(files, new Date("2026-11-24T10:00:01Z"))).toBeUndefined();
  for (const damage of ["garbage", "", "\0", "+275760-09-13T00:00:00.000Z", "2061-01-01T00:00:00Z", "1e99"]) {
    files.write("/var/lib/kubestick/last-time", damage);
    expect({ damage, done: neverInThePast(files, new Date(0)) }).toEqual({ damage, done: undefined });
  }
});
