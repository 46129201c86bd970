import { describe, expect, test } from "bun:test";
import { networksOf, readClusterNetwork } from "../../lib/cluster/network.ts";
import { Files } from "../../lib/host/files.ts";
import { type HostRoute, parseRoutes } from "../../lib/host/routes.ts";
import { parseCidr } from "../../lib/net/ip.ts";
import type { HostNetwork } from "../../lib/network/host.ts";
import { parseRouteList } from "../../lib/network/routes.ts";
import { recallServiceRanges, rememberServiceRanges, serviceRoutes } from "../../lib/network/service-routes.ts";

const link = (text: string, name = "eth0") => {
  const [address = ""] = text.split("/");
  return { interface: name, address, family: parseCidr(text)!.family, network: parseCidr(text)! };
};
const route = (to: string, gateway?: string): HostRoute => ({
  cidr: parseCidr(to)!,
  ...(gateway ? { gateway } : {}),
  interface: "eth0",
  metric: 0,
});
const host = (more: Partial<HostNetwork> = {}): HostNetwork => ({
  addresses: [link("10.0.0.5/24"), link("fd00::5/64")],
  routes: [route("10.0.0.0/24"), route("fd00::/64")],
  own: [],
  nameservers: [],
  ...more,
});
const RANGES = ["10.96.0.0/12", "fd02::/112"];
const v4 = { cidr: "10.96.0.0/12", dev: "eth0", src: "10.0.0.5" };
const v6 = { cidr: "fd02::/112", dev: "eth0", src: "fd00::5" };

describe("routes to Services", () => {
  const routes = (h: HostNetwork, nodeAddresses = ["10.0.0.5", "fd00::5"], ranges = RANGES) =>
    serviceRoutes({ ranges, nodeAddresses }, h);

  test("are made in each family that has no default route, and in no other", () => {
    const own = host().routes;
    expect(routes(host())).toEqual([v4, v6]);
    expect(routes(host({ routes: [...own, route("0.0.0.0/0", "10.0.0.1")] }))).toEqual([v6]);
    expect(routes(host({ routes: [...own, route("::/0", "fe80::1")] }))).toEqual([v4]);
    expect(routes(host({ routes: [...own, route("0.0.0.0/0", "10.0.0.1"), route("::/0", "fe80::1")] }))).toEqual([]);
  });

  test("are not made where another's route encloses the range, and kubestick's own is not another's", () => {
    expect(routes(host({ routes: [route("10.0.0.0/8", "10.0.0.1")] }))).toEqual([v6]);
    expect(routes(host({ routes: [route("10.96.0.0/12", "10.0.0.1")] }))).toEqual([v6]);
    // A part is not enough.
    expect(routes(host({ routes: [route("10.96.0.0/16", "10.0.0.1")] }))).toEqual([v4, v6]);
    expect(routes(host({ routes: [route("10.96.0.0/12")], own: [v4] }))).toEqual([v4, v6]);
  });

  test("name the interface and address that the cluster knows the node by", () => {
    const two = host({ addresses: [link("192.168.7.2/24", "wlan0"), ...host().addresses] });
    expect(routes(two)).toEqual([v4, v6]);
    // Only one family is told: the other's is looked for on the same interface.
    expect(routes(two, ["fd00::5"])).toEqual([v4, v6]);
    expect(routes(two, ["192.168.7.2"])).toEqual([{ ...v4, dev: "wlan0", src: "192.168.7.2" }, v6]);
    // Nobody knows the node yet, or by an address that has gone: nothing is guessed.
    expect(routes(two, [])).toEqual([v6]);
    expect(routes(two, ["10.0.0.77"])).toEqual([v6]);
    expect(routes(host(), [])).toEqual([v4, v6]);
    expect(routes(host({ addresses: [] }))).toEqual([]);
  });

  test("are never a default route, and a range that is none makes none", () => {
    expect(routes(host(), ["10.0.0.5"], ["0.0.0.0/0", "::/0", "", "10.96.0.0", "-h/8"])).toEqual([]);
  });

  test("what they are made from outlives the agent, and a damaged record is empty", () => {
    const files = new Files("/", { overlay: true });
    const nothing = { ranges: [], nodeAddresses: [] };
    expect(recallServiceRanges(files)).toEqual(nothing);
    const known = { ranges: RANGES, nodeAddresses: ["10.0.0.5"] };
    rememberServiceRanges(files, known);
    expect(recallServiceRanges(files)).toEqual(known);
    for (const text of ["", "null", "[]", "7", '{"ranges": 5}', '{"ranges": ["10.96.0.0/12"', '{"ranges": [5, {}]}']) {
      files.write("/var/lib/kubestick/service-ranges.json", text);
      expect([text, recallServiceRanges(files)]).toEqual([text, nothing]);
    }
  });
});

describe("the kernel's routes", () => {
  test("out of /proc, without those that lead nowhere", () => {
    const v4Table = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000600A\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0
*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0
*\t0000610A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`;
    const line = (to: string, bits: string, via: string, flags: string, name: string) =>
      `${to.padEnd(32, "0")} ${bits} ${"0".repeat(32)} 00 ${via.padEnd(32, "0")} 00000400 00000001 00000000 ${flags} ${name}\n`;
    const v6Table =
      line("fd", "40", "", "00000001", "eth0") +
      line("", "00", "fe80", "00000003", "eth1") +
      line("", "00", "", "00200200", "lo") +
      line(`${"0".repeat(31)}1`, "80", "", "80200001", "lo");
    expect(parseRoutes(v4Table, v6Table)).toEqual([
      { cidr: parseCidr("0.0.0.0/0")!, gateway: "10.0.0.1", interface: "eth0", metric: 100 },
      { cidr: parseCidr("10.96.0.0/12")!, interface: "eth0", metric: 0 },
      { cidr: parseCidr("fd00::/64")!, interface: "eth0", metric: 1024 },
      { cidr: parseCidr("::/0")!, gateway: "fe80::", interface: "eth1", metric: 1024 },
    ]);
    expect(parseRoutes("", "")).toEqual([]);
    expect(parseRoutes("a\tb\nc d e f g h i j\n", "x\n")).toEqual([]);
  });

  test("out of what ip prints", () => {
    const text = `10.96.0.0/12 dev eth0 scope link src 10.0.0.5 linkdown
10.244.3.0/24 via 10.0.0.3 dev eth0
10.244.4.5 via 10.0.0.4 dev eth0
FD01:0:0:3::/64 via fd00:0::3 dev eth0 metric 1024 pref medium
default via 10.0.0.1 dev eth0
`;
    expect(parseRouteList(text)).toEqual([
      { cidr: "10.96.0.0/12", dev: "eth0", src: "10.0.0.5" },
      { cidr: "10.244.3.0/24", via: "10.0.0.3", dev: "eth0" },
      { cidr: "10.244.4.5/32", via: "10.0.0.4", dev: "eth0" },
      { cidr: "fd01:0:0:3::/64", via: "fd00::3", dev: "eth0" },
    ]);
  });
});

describe("what the control plane says of the cluster's networks", () => {
  const range = (text: string, nodeBits: number) => ({ cidr: parseCidr(text)!, nodeBits });

  test("is kubeadm's configuration, with the flags that override it in either version", () => {
    const networking = { podSubnet: "10.244.0.0/16, fd01::/48", serviceSubnet: "10.96.0.0/12,FD02:0::/112" };
    expect(networksOf({ networking })).toEqual({
      podRanges: [range("10.244.0.0/16", 24), range("fd01::/48", 64)],
      serviceRanges: ["10.96.0.0/12", "fd02::/112"],
    });
    const flags = {
      "node-cidr-mask-size-ipv4": "26",
      "node-cidr-mask-size-ipv6": 80,
      "cluster-cidr": "10.0.0.0/9,fd05::/60",
    };
    const asMap = { networking, controllerManager: { extraArgs: flags } };
    const list = Object.entries(flags).map(([name, value]) => ({ name, value }));
    const asList = {
      networking,
      controllerManager: { extraArgs: [{ name: "cluster-cidr", value: "1.0.0.0/8" }, ...list] },
    };
    for (const cluster of [asMap, asList])
      expect(networksOf(cluster).podRanges).toEqual([range("10.0.0.0/9", 26), range("fd05::/60", 80)]);
    const single = {
      networking: { podSubnet: "fd01::/48" },
      controllerManager: { extraArgs: { "node-cidr-mask-size": "72" } },
    };
    expect(networksOf(single).podRanges).toEqual([range("fd01::/48", 72)]);
    const server = {
      networking,
      apiServer: { extraArgs: [{ name: "service-cluster-ip-range", value: "10.1.0.0/16" }] },
    };
    expect(networksOf(server).serviceRanges).toEqual(["10.1.0.0/16"]);
  });

  test("is empty where it says nothing, or nonsense", () => {
    for (const cluster of [
      {},
      { networking: null },
      { networking: { podSubnet: 7, serviceSubnet: "x" } },
      { controllerManager: { extraArgs: [null, 7] } },
    ])
      expect(networksOf(cluster)).toEqual({ podRanges: [], serviceRanges: [] });
  });

  const answers = (found: Record<string, unknown>) => ({
    callIfAllowed: async <T>(_method: string, path: string) => found[path.split("/").at(-1)!] as T | undefined,
  });
  const kubeadm = {
    data: { ClusterConfiguration: "networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}" },
  };

  test("is read as far as a node may: in kubeadm's clusters only kubeadm's part", async () => {
    const pods = [range("10.244.0.0/16", 24)];
    expect(await readClusterNetwork(answers({ "kubeadm-config": kubeadm }))).toEqual({
      podRanges: pods,
      serviceRanges: ["10.96.0.0/12"],
    });
    const servicecidrs = {
      items: [{ spec: { cidrs: ["10.96.0.0/12"] } }, { spec: { cidrs: ["10.200.0.0/24", "fd02::/112"] } }, {}],
    };
    const all = { "kubeadm-config": kubeadm, kubestick: { data: { network: "flat" } }, servicecidrs };
    expect(await readClusterNetwork(answers(all))).toEqual({
      kind: "flat",
      podRanges: pods,
      serviceRanges: ["10.96.0.0/12", "10.200.0.0/24", "fd02::/112"],
    });
  });

  test("is not known where kubeadm's part cannot be read, or is no mapping", async () => {
    for (const text of [undefined, "", "just text", "[1]", "{", "a: &a [*a]"])
      expect(
        await readClusterNetwork(answers({ "kubeadm-config": { data: { ClusterConfiguration: text } } })),
      ).toBeUndefined();
    expect(await readClusterNetwork(answers({ kubestick: { data: { network: "flat" } } }))).toBeUndefined();
  });
});
