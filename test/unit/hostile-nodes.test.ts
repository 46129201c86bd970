import { describe, expect, test } from "bun:test";
import { contains, encloses, overlaps, parseCidr } from "../../lib/net/ip.ts";
import { acceptClaims } from "../../lib/network/accept.ts";
import { Claims } from "../../lib/network/claims.ts";
import { masqueradeRules } from "../../lib/network/flat.ts";
import type { HostNetwork } from "../../lib/network/host.ts";
import type { Route } from "../../lib/network/routes.ts";
import { HOSTILE_KINDS, honest, hostileNode, type NodeObject, type World, world } from "../support/hostile-nodes.ts";

const WORLDS = 12;
const EARLIER = 1;
const LATER = 100_000;

/** What a node decides that knows these Nodes all at once, or the later ones after the first, with routes of its own there already. */
function decide(w: World, first: NodeObject[], own: Route[], later: NodeObject[] = []) {
  const claims = new Claims();
  claims.replaceAll(first);
  for (const node of later) claims.set(node);
  const self = claims.get(w.self)!;
  const host: HostNetwork = { addresses: w.addresses, routes: w.routes, own, nameservers: [w.nameserver] };
  const accepted = acceptClaims(claims.values(), self, w.cluster, host);
  const ranges = w.cluster.podRanges.map(({ cidr }) => `${cidr.family === 4 ? "10.244.0.0/16" : "fd01::/48"}`);
  const rules = masqueradeRules(self.podCidrs, ranges, accepted.nodeAddresses);
  return { ...accepted, rules };
}

const lines = (routes: Route[]) => routes.map(({ cidr, via }) => `${cidr} via ${via}`);
const networksOf = (n: NodeObject) => (n.spec as { podCIDRs: string[] }).podCIDRs;

/** Everything that must hold of what a node decides with a hostile Node, against what it decides without. */
function expectUnmoved(w: World, before: ReturnType<typeof decide>, after: ReturnType<typeof decide>, what: string) {
  expect([what, lines(after.routes)]).toEqual([what, expect.arrayContaining(lines(before.routes))]);
  const extra = after.routes.filter((route) => !lines(before.routes).includes(lines([route])[0]!));
  const segments = w.addresses.map((a) => a.network);
  for (const { cidr, via } of extra) {
    const network = parseCidr(cidr)!;
    const range = w.cluster.podRanges.find((r) => r.cidr.family === network.family)!;
    const taken = [...w.nodes.flatMap(networksOf), ...w.cluster.serviceRanges].map((text) => parseCidr(text)!);
    const wrong = {
      outside: !encloses(range.cidr, network) || network.bits !== range.nodeBits,
      taken: [...taken, ...segments].some((other) => overlaps(other, network)),
      via: !segments.some((segment) => contains(segment, via!)),
      own: w.addresses.some((a) => a.address === via),
      gateway: [w.gateway, "fd00::1"].includes(via!) && w.gateway !== "",
    };
    expect([what, cidr, via, wrong]).toEqual([
      what,
      cidr,
      via,
      { outside: false, taken: false, via: false, own: false, gateway: false },
    ]);
  }
  // Nothing but the addresses of nodes that get a route may be spared, and nothing that was spared may be lost.
  const vias = extra.map(({ via }) => via!);
  expect([what, after.nodeAddresses.filter((a) => !vias.includes(a))]).toEqual([
    what,
    before.nodeAddresses.filter((a) => !vias.includes(a)),
  ]);
  if (extra.length === 0) expect([what, after.rules]).toEqual([what, before.rules]);
  for (const { node, reasons } of after.refusals)
    for (const reason of reasons)
      expect([what, node.name, reason]).toEqual([
        what,
        expect.stringMatching(/^evil/),
        expect.stringMatching(/^[ -~]{1,700}$/),
      ]);
}

describe("hostile Nodes", () => {
  for (const kind of HOSTILE_KINDS)
    test(kind.name, () => {
      for (let seed = 1; seed <= WORLDS; seed++) {
        const w = world(seed);
        const calm = decide(w, w.nodes, []);
        const evil = hostileNode(w, kind, "evil", kind.earlier ? EARLIER : LATER);
        const what = `${kind.name}, world ${seed}`;
        expect([what, calm.refusals, calm.routes.length]).toEqual([what, [], (w.nodes.length - 1) * (w.dual ? 2 : 1)]);
        // While the others' routes stand; on a node that has just started; and heard of after them.
        const running = decide(w, [...w.nodes, evil], calm.routes);
        expectUnmoved(w, calm, running, `${what}, running`);
        expectUnmoved(w, calm, decide(w, [evil, ...w.nodes], []), `${what}, just started`);
        expectUnmoved(w, calm, decide(w, w.nodes, calm.routes, [evil]), `${what}, heard of later`);
        expect([what, lines(running.routes), running.rules]).toEqual([what, lines(calm.routes), calm.rules]);
        const refused = running.refusals.map(({ node }) => node.name);
        expect([what, refused]).toEqual([what, kind.nothing?.(w) ? [] : ["evil"]]);
      }
    });
});

test("many hostile Nodes at once, and what nobody has thought of, move nothing either", () => {
  for (let seed = 1000; seed < 1100; seed++) {
    const w = world(seed);
    const calm = decide(w, w.nodes, []);
    const evils = Array.from({ length: 1 + w.random(12) }, () => {
      const kind = HOSTILE_KINDS[w.random(HOSTILE_KINDS.length)]!;
      return hostileNode(w, kind, "evil", kind.earlier ? EARLIER : LATER);
    });
    for (let i = 0; i < 20; i++) evils.push(hostileNode(w, { name: "random", claim: anything }, "evil", LATER));
    const named = evils.map((node, i) => ({ ...node, metadata: { ...node.metadata, name: `evil${i}` } }));
    const after = decide(w, [...w.nodes, ...named], calm.routes);
    expectUnmoved(w, calm, after, `world ${seed}`);
    expect(after.refusals.filter(({ node }) => !node.name.startsWith("evil"))).toEqual([]);
  }
});

/** Networks and addresses near those that matter, whole or damaged. */
function anything(w: World) {
  const number = (below: number) => String(w.random(below));
  const group = () => ["", "0", "b", "fd01", "fd00", "ffff", number(99999)][w.random(7)]!;
  const ip = () =>
    w.random(4) > 0
      ? [w.random(9) ? "10" : number(300), ["0", "96", "244", number(300)][w.random(4)], number(20), number(3)].join(
          ".",
        )
      : Array.from({ length: 1 + w.random(8) }, group).join(":");
  const damaged = (text: string) =>
    w.random(8) > 0 ? text : text.slice(0, w.random(text.length)) + String.fromCodePoint(w.random(0xd800)) + text;
  const networks = Array.from({ length: w.random(5) }, () =>
    damaged(`${ip()}/${[0, 1, 12, 16, 24, 24, 24, 32, 64, 128][w.random(10)]}`),
  );
  return {
    networks,
    addresses: Array.from({ length: w.random(5) }, () => ({ type: "InternalIP", address: damaged(ip()) })),
  };
}

describe("whose it is", () => {
  const w = { ...world(4), dual: false };
  w.nodes = [11, 12, 13].map((i) => honest(w, i));
  w.self = "n11";
  const calm = decide(w, w.nodes, []);
  const claiming = (
    name: string,
    second: number,
    claim: { networks: string[]; addresses: string[] },
    taints?: object[],
  ) => {
    const addresses = claim.addresses.map((address) => ({ type: "InternalIP", address }));
    return hostileNode(w, { name, claim: () => ({ networks: claim.networks, addresses, taints }) }, name, second);
  };
  /** Created in the same second as n12. */
  const twin = claiming("a-twin", 12 * 7, { networks: ["10.244.12.0/24"], addresses: ["10.0.0.200"] });

  test("an honest Node that joins gets its route, and its address is spared", () => {
    const after = decide(w, [...w.nodes, honest(w, 14)], calm.routes);
    expect(after.refusals).toEqual([]);
    expect(lines(after.routes)).toEqual([...lines(calm.routes), "10.244.14.0/24 via 10.0.0.14"]);
    expect(after.rules).toContain("10.0.0.13, 10.0.0.14, 10.244.0.0/16 }");
  });

  test("of two Nodes of one second, a network is the one's that was heard of first", () => {
    for (const own of [[], calm.routes]) {
      const after = decide(w, w.nodes, own, [twin]);
      expect(lines(after.routes)).toEqual(lines(calm.routes));
      expect(after.refusals).toMatchObject([
        { node: { name: "a-twin" }, reasons: ["pod network 10.244.12.0/24 is the network of node n12"] },
      ]);
    }
  });

  test("when both were there first, the one's whose route stands, else nobody's", () => {
    const all = [twin, ...w.nodes];
    expect(lines(decide(w, all, calm.routes).routes)).toEqual(lines(calm.routes));
    const started = decide(w, all, []);
    expect(lines(started.routes)).toEqual(["10.244.13.0/24 via 10.0.0.13"]);
    const reason = ["pod network 10.244.12.0/24 is the network of node a-twin and n12"];
    expect(started.refusals.map(({ node, reasons }) => [node.name, reasons])).toEqual([
      ["a-twin", reason],
      ["n12", reason],
    ]);
  });

  test("a Node that is deleted and registers again with its network in between taken comes last", () => {
    const again = { ...w.nodes[1]!, metadata: { ...w.nodes[1]!.metadata, uid: "new", creationTimestamp: undefined } };
    const after = decide(w, [w.nodes[0]!, w.nodes[2]!, { ...twin }], [], [again]);
    expect(after.refusals.map(({ node }) => node.name)).toEqual(["n12"]);
  });

  test("a board that was set up anew under another name has its address once the control plane has lost the old one", () => {
    const anew = claiming("anew", LATER, { networks: ["10.244.20.0/24"], addresses: ["10.0.0.12"] });
    const both = decide(w, [...w.nodes, anew], calm.routes);
    expect(both.refusals).toMatchObject([
      { node: { name: "anew" }, reasons: ["address 10.0.0.12 is the address of node n12"] },
    ]);
    const lost = {
      ...w.nodes[1]!,
      spec: {
        ...(w.nodes[1]!.spec as object),
        taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }],
      },
    };
    const after = decide(w, [w.nodes[0]!, lost, w.nodes[2]!, anew], calm.routes);
    expect(after.refusals).toEqual([]);
    expect(lines(after.routes)).toEqual([...lines(calm.routes), "10.244.20.0/24 via 10.0.0.12"]);
  });

  test("a Node has one network of a family", () => {
    const two = claiming("two", LATER, { networks: ["10.244.20.0/24", "10.244.21.0/24"], addresses: ["10.0.0.20"] });
    const after = decide(w, [...w.nodes, two], calm.routes);
    expect(lines(after.routes)).toEqual([...lines(calm.routes), "10.244.20.0/24 via 10.0.0.20"]);
    expect(after.refusals[0]!.reasons).toEqual(['pod network "10.244.21.0/24" is a second network of IPv4']);
  });

  test("where the pods' range encloses Services and nodes, these are no Node's network all the same", () => {
    const wide = { ...w, cluster: { ...w.cluster, podRanges: [{ cidr: parseCidr("10.0.0.0/8")!, nodeBits: 24 }] } };
    for (const network of ["10.96.0.0/24", "10.111.255.0/24", "10.0.0.0/24"]) {
      const evil = claiming("evil", LATER, { networks: [network], addresses: ["10.0.0.200"] });
      const after = decide(wide, [...w.nodes, evil], []);
      expect([network, lines(after.routes)]).toEqual([network, lines(calm.routes)]);
      expect(after.refusals[0]!.reasons).toEqual([
        `pod network "${network}" overlaps the addresses of Services or nodes`,
      ]);
    }
  });

  test("boards that all say the address of the same NAT are told apart from each other and from this one", () => {
    const nat = [11, 12, 13].map((i) => ({
      ...honest(w, i),
      status: { addresses: [{ type: "InternalIP", address: "10.0.2.15" }] },
    }));
    const after = decide(
      { ...w, addresses: [{ ...w.addresses[0]!, address: "10.0.2.15", network: parseCidr("10.0.2.0/24")! }] },
      nat,
      [],
    );
    expect(after.routes).toEqual([]);
    expect(after.refusals.map(({ reasons }) => reasons)).toEqual(
      Array(2).fill(['address "10.0.2.15" is the address of node n11']),
    );
  });

  test("a host whose link is down, or that lacks a family, blames nobody for it", () => {
    expect(decide({ ...w, addresses: [], routes: [] }, w.nodes, calm.routes)).toMatchObject({
      routes: [],
      refusals: [],
    });
    const dual = { ...world(4), dual: true };
    dual.nodes = [11, 12].map((i) => honest(dual, i));
    dual.cluster = {
      ...dual.cluster,
      podRanges: [...w.cluster.podRanges.slice(0, 1), { cidr: parseCidr("fd01::/48")!, nodeBits: 64 }],
    };
    const lacking = decide(
      { ...dual, self: "n11", addresses: w.addresses.slice(0, 1), routes: w.routes },
      dual.nodes,
      [],
    );
    expect([lacking.refusals, lines(lacking.routes)]).toEqual([[], ["10.244.12.0/24 via 10.0.0.12"]]);
  });

  test("an address that has a network of its own lies on the segment of the route beside it, but not on that of Services", () => {
    const addresses = w.addresses.map((a) => ({ ...a, address: "10.0.0.11", network: parseCidr("10.0.0.11/32")! }));
    const services = { cidr: parseCidr("10.0.0.0/8")!, interface: "eth0", metric: 0 };
    const own = [{ cidr: "10.0.0.0/8", dev: "eth0" }];
    const alone = { ...w, addresses, routes: [services] };
    expect(decide(alone, w.nodes, own).routes).toEqual([]);
    expect(lines(decide({ ...alone, routes: [services, ...w.routes] }, w.nodes, own).routes)).toEqual(
      lines(calm.routes),
    );
  });
});
