import { describe, expect, test } from "bun:test";
import { findProgram } from "../../lib/host/facts.ts";
import { tryRun } from "../../lib/host/process.ts";

// The real kernel, in a network namespace that ends with each test.
const missing = process.getuid?.() !== 0 || !["ip", "nft", "iptables", "unshare"].every((p) => findProgram(p));
const lib = new URL("../../lib/", import.meta.url).pathname;

/** A host with one interface on a segment, and what the pieces under test are called in it. */
const HOST = `
import { spawnSync } from "node:child_process";
import { Files } from "${lib}host/files.ts";
import { applyRules, removeStaleBridgeAddresses } from "${lib}network/apply.ts";
import { masqueradeRules } from "${lib}network/flat.ts";
import { readHostNetwork } from "${lib}network/host.ts";
import { applyRoutes, ownRoutes, removeOwnRoutes } from "${lib}network/routes.ts";
import { applyServiceRoutes } from "${lib}network/service-routes.ts";
const sh = (text) => {
  const out = spawnSync("sh", ["-c", text], { encoding: "utf8" });
  if (out.status !== 0) throw new Error(text + ": " + out.stderr);
  return out.stdout.trim();
};
sh("ip link set lo up; ip link add eth0 type bridge; ip addr add 10.0.0.5/24 dev eth0; ip -6 addr add fd00::5/64 dev eth0 nodad; ip link set eth0 up");
const files = new Files("/", { overlay: true });
const services = (ranges = ["10.96.0.0/12", "fd02::/112"]) =>
  applyServiceRoutes(files, { ranges, nodeAddresses: ["10.0.0.5", "fd00::5"] });
const routes = () => sh("ip route; ip -6 route | grep -v ^fe80").split("\\n").map((line) => line.replace("linkdown", "").trim().replace(/ +/g, " "));
const connect = (host, port) =>
  new Promise((resolve) => {
    Bun.connect({ hostname: host, port, socket: {
      open: (socket) => { resolve("connected"); socket.end(); },
      connectError: (_, error) => resolve(error.code),
      data() {},
    } }).catch((error) => resolve(error.code));
  });
const listen = (hostname) => {
  const peers = [];
  const server = Bun.listen({ hostname, port: 0, socket: { open: (socket) => peers.push(socket.remoteAddress), data() {} } });
  return { port: server.port, peers, stop: () => server.stop(true) };
};
`;

/** What a script gives that runs in such a host. */
function inHost(script: string): unknown {
  const text = `${HOST}\nconst result = await (async () => {${script}})();\nconsole.log(JSON.stringify(result));process.exit();`;
  const out = tryRun("unshare", ["-n", process.execPath, "-e", text], 60_000);
  expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(out.stdout);
}

const BARE = [
  "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5",
  "fd00::/64 dev eth0 proto kernel metric 256 pref medium",
];
const V4 = "10.96.0.0/12 dev eth0 proto 75 scope link src 10.0.0.5";
const V6 = "fd02::/112 dev eth0 proto 75 src fd00::5 metric 1024 pref medium";

describe.skipIf(missing)("routes to Services in the kernel", () => {
  test("come where there is no default route, go when one appears, and come back, each family by itself", () => {
    expect(
      inHost(`
const seen = [];
const look = (what) => { const { changes, refusals } = what; seen.push([routes(), changes, refusals]); };
look(services());
look(services());
sh("ip route add default via 10.0.0.1");
look(services());
sh("ip -6 route add default via fd00::1; ip route del default");
look(services());
look({ changes: removeOwnRoutes(), refusals: [] });
return seen;`),
    ).toEqual([
      [
        [BARE[0], V4, BARE[1], V6],
        ["route to 10.96.0.0/12 dev eth0 src 10.0.0.5", "route to fd02::/112 dev eth0 src fd00::5"],
        [],
      ],
      [[BARE[0], V4, BARE[1], V6], [], []],
      [["default via 10.0.0.1 dev eth0", BARE[0], BARE[1], V6], ["no route to 10.96.0.0/12 any more"], []],
      [
        [BARE[0], V4, BARE[1], "default via fd00::1 dev eth0 metric 1024 pref medium"],
        ["no route to fd02::/112 any more", "route to 10.96.0.0/12 dev eth0 src 10.0.0.5"],
        [],
      ],
      [
        [BARE[0], BARE[1], "default via fd00::1 dev eth0 metric 1024 pref medium"],
        ["no route to 10.96.0.0/12 any more"],
        [],
      ],
    ]);
  });

  test("follow the node's address, and a refusing default route is none", () => {
    expect(
      inHost(`
sh("ip route add unreachable default");
services();
sh("ip addr del 10.0.0.5/24 dev eth0; ip addr add 10.0.0.6/24 dev eth0");
const gone = ownRoutes().map((r) => r.cidr);
const { changes } = applyServiceRoutes(files, { ranges: ["10.96.0.0/12"], nodeAddresses: ["10.0.0.6"] });
return [gone, changes];`),
    ).toEqual([["fd02::/112"], ["no route to fd02::/112 any more", "route to 10.96.0.0/12 dev eth0 src 10.0.0.6"]]);
  });

  test("somebody else's route stays: one to the same network, and one that is removed by another's reset", () => {
    expect(
      inHost(`
sh("ip route add 10.96.0.0/12 via 10.0.0.9 proto static; ip route add 10.244.2.0/24 via 10.0.0.9");
const before = routes();
const first = services(["10.96.0.0/12"]);
const pods = applyRoutes([{ cidr: "10.244.2.0/24", via: "10.0.0.2" }, { cidr: "10.244.3.0/24", via: "10.0.0.3" }], []);
const moved = applyRoutes([{ cidr: "10.244.3.0/24", via: "10.0.0.33" }], ownRoutes());
const own = ownRoutes();
return [first, pods, moved, own, removeOwnRoutes(), JSON.stringify(before) === JSON.stringify(routes())];`),
    ).toEqual([
      { changes: [], refusals: [] },
      {
        changes: ["route to 10.244.3.0/24 via 10.0.0.3"],
        refusals: ["route to 10.244.2.0/24 via 10.0.0.2: refused: RTNETLINK answers: File exists"],
      },
      { changes: ["route to 10.244.3.0/24 via 10.0.0.33"], refusals: [] },
      [{ cidr: "10.244.3.0/24", via: "10.0.0.33", dev: "eth0" }],
      ["no route to 10.244.3.0/24 any more"],
      true,
    ]);
  });

  test("those to Services and those to pods are kept apart", () => {
    expect(
      inHost(`
services();
const pods = (list) => applyRoutes(list, readHostNetwork(files).own.filter((r) => r.via !== undefined)).changes;
const made = pods([{ cidr: "10.244.2.0/24", via: "10.0.0.2" }, { cidr: "fd01:0:0:2::/64", via: "fd00::2" }]);
const none = services([]).changes;
return [made, none, pods([])];`),
    ).toEqual([
      ["route to 10.244.2.0/24 via 10.0.0.2", "route to fd01:0:0:2::/64 via fd00::2"],
      ["no route to 10.96.0.0/12 any more", "no route to fd02::/112 any more"],
      ["no route to 10.244.2.0/24 any more", "no route to fd01:0:0:2::/64 any more"],
    ]);
  });

  // What kube-proxy does in each of its modes, in short.
  const RULES: Record<string, string> = {
    iptables: `for i in iptables ip6tables; do $i -t nat -A OUTPUT -p tcp -d $([ $i = iptables ] && echo 10.96.0.10 || echo fd02::10) --dport 443 -j DNAT --to-destination $([ $i = iptables ] && echo 10.0.0.5:P4 || echo [fd00::5]:P6); done`,
    nftables: `nft 'table inet t { chain o { type nat hook output priority -100; ip daddr 10.96.0.10 tcp dport 443 dnat ip to 10.0.0.5:P4; ip6 daddr fd02::10 tcp dport 443 dnat ip6 to [fd00::5]:P6; }; }'`,
  };
  for (const [mode, rules] of Object.entries(RULES))
    test(`a host reaches a Service by kube-proxy's rules, from its own address: ${mode}`, () => {
      expect(
        inHost(`
const [four, six] = [listen("10.0.0.5"), listen("fd00::5")];
sh(${JSON.stringify(rules)}.replaceAll("P4", four.port).replaceAll("P6", six.port));
const before = ["10.96.0.10", "fd02::10"].map((ip) => sh("bash -c 'exec 3<>/dev/tcp/" + ip + "/443' 2>&1 || true"));
services();
const after = [await connect("10.96.0.10", 443), await connect("fd02::10", 443)];
await Bun.sleep(100);
return [before, after, four.peers, six.peers];`),
      ).toEqual([
        Array(2).fill(expect.stringContaining("Network is unreachable")),
        ["connected", "connected"],
        ["10.0.0.5"],
        ["fd00::5"],
      ]);
    });

  test("and in IPVS mode, where Services are addresses of the host, they change nothing", () => {
    expect(
      inHost(`
sh("ip link add kube-ipvs0 type bridge; ip addr add 10.96.0.10/32 dev kube-ipvs0; ip link set kube-ipvs0 up");
const local = listen("10.96.0.10");
const get = () => sh("ip route get 10.96.0.10").split("\\n")[0].replace(/ uid.*/, "");
const before = get();
const { changes } = applyServiceRoutes(files, { ranges: ["10.96.0.0/12"], nodeAddresses: ["10.0.0.5"] });
return [before === get(), changes.length, await connect("10.96.0.10", local.port)];`),
    ).toEqual([true, 1, "connected"]);
  });
});

describe.skipIf(missing)("the flat network in the kernel", () => {
  test("nftables takes the rules, also where a node's address lies in the pods' range", () => {
    expect(
      inHost(`
applyRules(masqueradeRules(["10.244.1.0/24", "fd01:0:0:1::/64"], ["10.244.0.0/16", "fd01::/48"], ["10.0.0.5", "10.244.9.9", "fd00::5", "10.0.0.6"]));
return sh("nft list ruleset").match(/ip6? saddr .*/g);`),
    ).toEqual([
      "ip saddr 10.244.1.0/24 ip daddr != { 10.0.0.5-10.0.0.6, 10.244.0.0/16 } masquerade",
      "ip6 saddr fd01:0:0:1::/64 ip6 daddr != { fd00::5, fd01::/48 } masquerade",
    ]);
  });

  test("addresses of an earlier cluster go off the bridge, this one's stay", () => {
    expect(
      inHost(`
const none = removeStaleBridgeAddresses(["10.244.1.0/24"]);
sh("ip link add kubestick0 type bridge; ip link set kubestick0 up");
for (const a of ["10.200.3.1/24", "10.244.1.1/24", "fd09::1/64", "fd01:0:0:1::1/64"]) sh("ip addr add " + a + " dev kubestick0");
const removed = removeStaleBridgeAddresses(["10.244.1.0/24", "fd01:0:0:1::/64"]);
return [none, removed, sh("ip -o addr show dev kubestick0 scope global").match(/inet6? \\S+/g)];`),
    ).toEqual([[], ["10.200.3.1/24", "fd09::1/64"], ["inet 10.244.1.1/24", "inet6 fd01:0:0:1::1/64"]]);
  });
});
