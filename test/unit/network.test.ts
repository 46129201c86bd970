import { describe, expect, test } from "bun:test";
import { networkObjects } from "../../lib/cluster/network.ts";
import { lastTime, neverInThePast, noteTime } from "../../lib/host/clock.ts";
import { Files } from "../../lib/host/files.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { mountsBelow } from "../../lib/host/mounts.ts";
import { kubeconfig, readKubeconfig, withServer } from "../../lib/kubeconfig/kubeconfig.ts";
import { parseCidr } from "../../lib/net/ip.ts";
import { Claims, claimOf } from "../../lib/network/claims.ts";
import { winningCniConfig } from "../../lib/network/cni.ts";
import { cniConfig, masqueradeRules } from "../../lib/network/flat.ts";
import { podMtu, removalOf, routesInTheWay } from "../../lib/network/host.ts";
import { holdPods } from "../../lib/phases/node-agent.ts";
import { providerObjects } from "../../lib/phases/provider.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { testCa } from "../support/api-double.ts";

describe("flat network", () => {
  test("reads Nodes, also ones that have nothing yet", () => {
    const object = {
      metadata: { name: "n1", uid: "u1", creationTimestamp: "2026-11-24T10:00:00Z" },
      spec: {
        podCIDR: "10.244.1.0/24",
        podCIDRs: ["10.244.1.0/24", "fd01:0:0:1::/64"],
        taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }],
      },
      status: {
        addresses: [
          { type: "Hostname", address: "n1" },
          { type: "InternalIP", address: "10.0.0.1" },
          { type: "InternalIP", address: "fd00::1" },
        ],
      },
    };
    expect(claimOf(object, 3)).toEqual({
      name: "n1",
      uid: "u1",
      created: "2026-11-24T10:00:00Z",
      heard: 3,
      unreachable: true,
      podCidrs: ["10.244.1.0/24", "fd01:0:0:1::/64"],
      addresses: ["10.0.0.1", "fd00::1"],
      more: 0,
    });
    const nothing = { uid: "", created: "9999", heard: 0, unreachable: false, podCidrs: [], addresses: [], more: 0 };
    const many = Array.from({ length: 1000 }, () => ({ type: "InternalIP", address: "x".repeat(1 << 16) }));
    const bounded = claimOf({
      metadata: { name: "many" },
      spec: { podCIDRs: Array(10).fill("y") },
      status: { addresses: many },
    });
    expect(bounded).toMatchObject({
      podCidrs: Array(8).fill("y"),
      addresses: Array(8).fill("x".repeat(64)),
      more: 994,
    });
    expect(claimOf({ metadata: { name: "new" } })).toEqual({ name: "new", ...nothing });
    expect(claimOf({ metadata: { name: "old" }, spec: { podCIDR: "10.1.0.0/24" } }).podCidrs).toEqual(["10.1.0.0/24"]);
  });

  test("Nodes keep their place when they change, and lose it when they register again", () => {
    const claims = new Claims();
    const named = (name: string, uid: string) => ({ metadata: { name, uid } });
    claims.replaceAll([named("b", "1"), named("a", "1")]);
    expect(claims.set(named("c", "1"))).toBe(true);
    // A heartbeat: nothing of what is looked at here.
    expect(claims.set(named("a", "1"))).toBe(false);
    expect(claims.set({ ...named("a", "1"), spec: { podCIDR: "10.244.0.0/24" } })).toBe(true);
    const places = () => claims.values().map(({ name, heard }) => `${name}${heard}`);
    expect(places().sort()).toEqual(["a1", "b1", "c2"]);
    claims.replaceAll([named("c", "1"), named("b", "2")]);
    expect(places().sort()).toEqual(["b5", "c2"]);
    claims.delete("b");
    expect(claims.get("b")).toBeUndefined();
  });

  test("only this node's pods are masqueraded, and neither pods nor nodes are outside", () => {
    const rules = masqueradeRules(["10.244.1.0/24"], ["10.244.0.0/16", "fd01::/48"], ["10.0.0.1", "10.0.0.2"]);
    expect(rules).toContain("ip saddr { 10.244.1.0/24 } ip daddr != { 10.0.0.1, 10.0.0.2, 10.244.0.0/16 } masquerade");
    expect(rules).not.toContain("ip6");
    const both = masqueradeRules(["10.244.1.0/24", "fd01:0:0:1::/64"], ["10.244.0.0/16", "fd01::/48"], ["fd00::1"]);
    expect(both).toContain("ip daddr != { 10.244.0.0/16 }");
    expect(both).toContain("ip6 saddr { fd01:0:0:1::/64 } ip6 daddr != { fd00::1, fd01::/48 } masquerade");
  });

  test("pods get addresses of each family, and the interface's MTU", () => {
    const config = JSON.parse(cniConfig(["10.244.1.0/24", "fd01:0:0:1::/64"], 1450)) as {
      plugins: { mtu?: number; ipMasq?: boolean; ipam?: { ranges: unknown; routes: unknown } }[];
    };
    expect(config.plugins[0]).toMatchObject({ mtu: 1450, ipMasq: false });
    expect(config.plugins[0]!.ipam).toMatchObject({
      ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd01:0:0:1::/64" }]],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
    });
  });

  test("another network's configuration counts where the runtime takes it instead of kubestick's", () => {
    const files = new Files("/", { overlay: true });
    const seen = (name: string) => {
      files.write(`/etc/cni/net.d/${name}`, "{}");
      return winningCniConfig(files);
    };
    // podman's and CRI-O's come after it; README files and certificates are none.
    for (const name of [
      "10-kubestick.conflist",
      "87-podman-bridge.conflist",
      "100-crio.conf",
      "05-README",
      "00-key.pem",
    ])
      expect([name, seen(name)]).toEqual([name, undefined]);
    expect(seen("10-calico.conflist")).toBe("/etc/cni/net.d/10-calico.conflist");
    expect(seen("05-cilium.conf")).toBe("/etc/cni/net.d/05-cilium.conf");
  });

  test("pods wait for kubestick's network where they would get another's meanwhile", () => {
    const held = (...others: string[]) => {
      const files = new Files("/", { overlay: true });
      for (const name of others) files.write(`/etc/cni/net.d/${name}`, "{}");
      const ledger = new Ledger(files);
      holdPods({ files, ledger }, () => undefined);
      return [
        files.readText("/etc/cni/net.d/10-kubestick.conflist"),
        ledger.claimed("/etc/cni/net.d/10-kubestick.conflist"),
      ];
    };
    expect(held("87-podman-bridge.conflist")).toEqual([
      '{"cniVersion":"1.0.0","name":"kubestick","plugins":[]}\n',
      true,
    ]);
    expect(held()).toEqual([undefined, false]);
    // Nothing would come of it, and what is there already is the agent's.
    expect(held("05-cilium.conf", "87-podman-bridge.conflist")).toEqual([undefined, false]);
    expect(held("10-kubestick.conflist", "87-podman-bridge.conflist")).toEqual(["{}", false]);
  });

  test("pods' packets fit through every interface that they leave by", () => {
    const link = (address: string, name: string) => ({
      interface: name,
      address,
      family: address.includes(":") ? (6 as const) : (4 as const),
      network: parseCidr(`${address}/24`)!,
    });
    const route = (name: string, metric: number) => ({ cidr: parseCidr("0.0.0.0/0")!, interface: name, metric });
    const mtuOf = (name: string) => ({ eth0: 1500, wg0: 1420, wwan0: 1280 })[name] ?? Number.NaN;
    const addresses = [link("10.0.0.2", "eth0"), link("10.9.0.2", "wg0")];
    const mtu = (routes: ReturnType<typeof route>[], own: string) => podMtu({ addresses, routes }, [own], mtuOf);
    expect(mtu([route("eth0", 100)], "10.0.0.2")).toBe(1500);
    // Nodes that reach each other through a tunnel, and nodes that reach the rest of the world through one.
    expect(mtu([route("eth0", 100)], "10.9.0.2")).toBe(1420);
    expect(mtu([route("wg0", 50), route("eth0", 100), route("wwan0", 700)], "10.0.0.2")).toBe(1420);
    expect(mtu([], "10.0.0.2")).toBe(1500);
    expect(podMtu({ addresses: [], routes: [route("gone", 0)] }, [], mtuOf)).toBe(1500);
  });

  test("what an earlier network left in the range of the pods is found, with what removes it", () => {
    const route = (to: string, name: string, gateway?: string) => ({
      cidr: parseCidr(to)!,
      interface: name,
      metric: 0,
      ...(gateway ? { gateway } : {}),
    });
    const routes = [
      route("0.0.0.0/0", "eth0", "10.0.0.1"),
      route("10.0.0.0/8", "eth0"),
      route("10.244.0.0/24", "cni0"),
      route("10.244.1.0/24", "kubestick0"),
      route("10.244.2.0/24", "eth0", "10.0.0.2"),
      route("10.244.3.0/24", "eth0", "10.0.0.3"),
      route("10.88.0.0/16", "cni-podman0"),
    ];
    const own = [{ cidr: "10.244.2.0/24", via: "10.0.0.2" }];
    const found = routesInTheWay({ routes, own }, [parseCidr("10.244.0.0/16")!]);
    expect(found.map(removalOf)).toEqual(["ip link del cni0", "ip route del 10.244.3.0/24 via 10.0.0.3"]);
    expect(routesInTheWay({ routes, own }, [])).toEqual([]);
  });

  test("nodes may see what the network needs, and no more", () => {
    const rules = (network: string) => {
      const objects = networkObjects(network) as { kind: string; rules?: object[]; data?: object }[];
      expect(objects.map((o) => o.kind)).toEqual([
        "ConfigMap",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
      ]);
      expect(objects[0]!.data).toEqual({ network });
      return objects[3]!.rules;
    };
    const ranges = { apiGroups: ["networking.k8s.io"], resources: ["servicecidrs"], verbs: ["list"] };
    const nodes = { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] };
    expect(rules("flat")).toEqual([ranges, nodes]);
    expect(rules("provider")).toEqual([ranges]);
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
      { point: "/var/lib/kubelet/pods/a/vol b", type: "tmpfs", root: "/" },
      { point: "/var/lib/kubelet/pods/a", type: "tmpfs", root: "/" },
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
