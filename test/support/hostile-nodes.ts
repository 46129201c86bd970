import type { ClusterNetwork } from "../../lib/cluster/network.ts";
import type { LinkAddress } from "../../lib/host/facts.ts";
import type { HostRoute } from "../../lib/host/routes.ts";
import { formatIp, parseCidr } from "../../lib/net/ip.ts";

/** A Node object, as far as the flat network reads it. */
export interface NodeObject {
  metadata: { name: string; uid?: unknown; creationTimestamp?: unknown };
  spec?: unknown;
  status?: unknown;
}

/** A random number below a bound, the same for the same seed (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

/** A cluster of honest nodes on one segment, seen from one of them. */
export interface World {
  cluster: ClusterNetwork;
  nodes: NodeObject[];
  self: string;
  addresses: LinkAddress[];
  routes: HostRoute[];
  gateway: string;
  nameserver: string;
  dual: boolean;
  random: (below: number) => number;
}

const cidr = (text: string) => parseCidr(text)!;
const at = (second: number) => new Date(Date.UTC(2026, 10, 24) + second * 1000).toISOString().replace(".000", "");
const uid = (pick: (below: number) => number) => formatIp(BigInt(pick(2 ** 32)) << 96n, 6);

/** An honest Node: registered by its kubelet, its networks from the controller manager. */
export const honest = (world: Pick<World, "dual" | "random">, i: number): NodeObject => ({
  metadata: { name: `n${i}`, uid: uid(world.random), creationTimestamp: at(i * 7) },
  spec: {
    podCIDR: `10.244.${i}.0/24`,
    podCIDRs: [`10.244.${i}.0/24`, ...(world.dual ? [`fd01:0:0:${i.toString(16)}::/64`] : [])],
  },
  status: {
    addresses: [
      { type: "InternalIP", address: `10.0.0.${i}` },
      ...(world.dual ? [{ type: "InternalIP", address: `fd00::${i.toString(16)}` }] : []),
      { type: "Hostname", address: `n${i}` },
    ],
  },
});

/** A random world of three to nine nodes, with one or two families, with a default route or without. */
export function world(seed: number): World {
  const pick = random(seed);
  const dual = pick(2) === 1;
  const base = { dual, random: pick };
  const nodes = Array.from({ length: 3 + pick(7) }, (_, i) => honest(base, i + 11));
  const self = 11 + pick(nodes.length);
  const link = (address: string, bits: number): LinkAddress => ({
    interface: "eth0",
    address,
    family: address.includes(":") ? 6 : 4,
    network: cidr(`${address}/${bits}`),
  });
  const route = (to: string, gateway?: string): HostRoute => ({
    cidr: cidr(to),
    ...(gateway ? { gateway } : {}),
    interface: "eth0",
    metric: 0,
  });
  const online = pick(3) > 0;
  return {
    ...base,
    cluster: {
      kind: "flat",
      podRanges: ["10.244.0.0/16,24", ...(dual ? ["fd01::/48,64"] : [])].map((text) => {
        const [range, bits] = text.split(",");
        return { cidr: cidr(range!), nodeBits: Number(bits) };
      }),
      serviceRanges: ["10.96.0.0/12", ...(dual ? ["fd02::/112"] : [])],
    },
    nodes,
    self: `n${self}`,
    addresses: [link(`10.0.0.${self}`, 24), ...(dual ? [link(`fd00::${self.toString(16)}`, 64)] : [])],
    routes: [
      route("10.0.0.0/24"),
      ...(online ? [route("0.0.0.0/0", "10.0.0.1"), ...(dual ? [route("::/0", "fd00::1")] : [])] : []),
    ],
    gateway: online ? "10.0.0.1" : "",
    nameserver: "10.0.0.2",
  };
}

/** What a hostile kubelet says. */
interface Claim {
  networks?: unknown;
  network?: unknown;
  addresses?: unknown;
  taints?: unknown;
}

/** A kind of hostile Node. */
export interface HostileKind {
  name: string;
  /** Whether it registered before the nodes that it attacks. */
  earlier?: boolean;
  /** Whether it comes to nothing by itself, so that there is nothing to refuse. */
  nothing?: (world: World) => boolean;
  claim: (world: World, victim: { networks: string[]; addresses: string[] }) => Claim;
}

const FREE = "10.0.0.200";
const FREE6 = "fd00::c8";
const NETWORK = "10.244.200.0/24";
const NETWORK6 = "fd01:0:0:c8::/64";
const internal = (...addresses: unknown[]) => addresses.map((address) => ({ type: "InternalIP", address }));
const good = internal(FREE, FREE6);
const network = (text: string | ((world: World) => string)) => (w: World) => ({
  networks: [typeof text === "string" ? text : text(w)],
  addresses: good,
});
const address =
  (...list: unknown[]) =>
  () => ({ networks: [NETWORK], addresses: internal(...list) });
const always = () => true;
const selfNumber = (w: World) => Number(w.self.slice(1));

/** Everything that a Node can be used for against others: what was tried in reviews, and their kin. None may work. */
export const HOSTILE_KINDS: HostileKind[] = [
  { name: "half of the Internet", claim: network("0.0.0.0/1") },
  { name: "the other half", claim: network("128.0.0.0/1") },
  { name: "the default route", claim: network("0.0.0.0/0") },
  { name: "the default route of IPv6", claim: network("::/0") },
  { name: "half of IPv6", claim: network("8000::/1") },
  { name: "the range of Services", claim: network("10.96.0.0/12") },
  { name: "the range of IPv6 Services", claim: network("fd02::/112") },
  { name: "one Service", claim: network("10.96.0.1/32") },
  { name: "the Service of DNS, in a network of the right size", claim: network("10.96.0.0/24") },
  { name: "the pods' whole range", claim: network("10.244.0.0/16") },
  { name: "half of the pods' range", claim: network("10.244.0.0/17") },
  { name: "the pods' range and more", claim: network("10.0.0.0/8") },
  { name: "another node's network", claim: (_, { networks }) => ({ networks, addresses: good }) },
  { name: "a network of another site", claim: network("10.245.12.0/24") },
  { name: "an IPv6 network of another site", claim: network("fd01:0:1:c::/64") },
  {
    name: "half of another node's network",
    claim: (_, v) => ({ networks: [v.networks[0]!.replace("/24", "/25")], addresses: good }),
  },
  {
    name: "one pod of another node",
    claim: (_, v) => ({ networks: [v.networks[0]!.replace("0/24", "5/32")], addresses: good }),
  },
  { name: "two nodes' networks in one", claim: network("10.244.12.0/23") },
  { name: "this node's network", claim: network((w) => `10.244.${selfNumber(w)}.0/24`) },
  { name: "this node's network of IPv6", claim: network((w) => `fd01:0:0:${selfNumber(w).toString(16)}::/64`) },
  {
    name: "another node's address as a network",
    claim: (_, v) => ({ networks: [`${v.addresses[0]}/32`], addresses: good }),
  },
  { name: "the gateway as a network", claim: network("10.0.0.1/32") },
  { name: "the nodes' segment", claim: network("10.0.0.0/24") },
  { name: "the nodes' IPv6 segment", claim: network("fd00::/64") },
  { name: "loopback", claim: network("127.0.0.0/8") },
  { name: "multicast", claim: network("224.0.0.0/4") },
  { name: "link-local, where clouds keep secrets", claim: network("169.254.169.254/32") },
  { name: "host bits set", claim: network("10.244.200.7/24") },
  { name: "an IPv4 network mapped into IPv6", claim: network("::ffff:10.244.12.0/120") },
  {
    name: "another spelling of another node's network",
    claim: (_, v) => ({ networks: [v.networks[0]!.replace("10.", "010.")], addresses: good }),
  },
  {
    name: "another spelling of an IPv6 network",
    claim: (_, { networks: [, v6 = "fd01:0:0:c::/64"] }) => ({
      networks: [v6.replace("fd01:0:0:", "FD01:0000:00:").replace("::/64", ":0:0:0:0/64")],
      addresses: good,
    }),
  },
  {
    name: "many networks",
    claim: (w) => ({ networks: w.nodes.flatMap((n) => (n.spec as { podCIDRs: string[] }).podCIDRs), addresses: good }),
  },
  {
    name: "one that fits, and a second of the family that is another's",
    claim: (_, v) => ({ networks: [v.networks[0]!, NETWORK].reverse(), addresses: internal("10.1.0.1") }),
  },
  {
    name: "a thousand networks",
    claim: () => ({ networks: Array.from({ length: 1000 }, (_, i) => `10.${i % 256}.0.0/16`), addresses: good }),
  },
  { name: "overlapping networks", claim: () => ({ networks: ["10.244.0.0/20", "10.244.8.0/21"], addresses: good }) },
  {
    name: "the same network twice, another's",
    claim: (_, v) => ({ networks: [v.networks[0], v.networks[0]], addresses: good }),
  },
  { name: "no bits", claim: network("10.244.12.0") },
  { name: "too many bits", claim: network("10.244.12.0/33") },
  { name: "bits below zero", claim: network("10.244.12.0/-1") },
  { name: "blanks", claim: network(" 10.244.12.0/24") },
  { name: "a line break", claim: network("10.244.200.0/24\n0.0.0.0/1") },
  { name: "words for nftables", claim: network("10.244.12.0/24 } accept; {") },
  { name: "words for the shell", claim: network("$(reboot)/24") },
  { name: "a flag", claim: network("--help") },
  { name: "an empty network", claim: network("") },
  { name: "digits of another script", claim: network("١٠.244.12.0/24") },
  { name: "control characters and turned text", claim: network("\u001b[2J\u202e10.244.12.0/24\u0000") },
  { name: "megabytes of text", claim: network(`10.244.12.0/24${"x".repeat(1 << 20)}`) },
  {
    name: "numbers for networks",
    nothing: always,
    claim: () => ({ networks: [1, null, {}, [], true], addresses: good }),
  },
  {
    name: "an object for networks",
    nothing: always,
    claim: () => ({ networks: { 0: "0.0.0.0/1" }, network: ["0.0.0.0/1"], addresses: good }),
  },
  { name: "the old field alone", claim: () => ({ network: "0.0.0.0/1", addresses: good }) },
  { name: "another node's address", claim: (_, v) => ({ networks: [NETWORK], addresses: internal(...v.addresses) }) },
  {
    name: "another node's address, by an earlier one",
    earlier: true,
    claim: (_, v) => ({ networks: [NETWORK], addresses: internal(...v.addresses) }),
  },
  {
    name: "another node's network and address",
    claim: (_, v) => ({ networks: v.networks, addresses: internal(...v.addresses) }),
  },
  {
    name: "this node's address",
    claim: (w) => ({ networks: [NETWORK], addresses: internal(`10.0.0.${selfNumber(w)}`) }),
  },
  {
    name: "this node's address, by an earlier one",
    earlier: true,
    claim: (w) => ({ networks: [NETWORK], addresses: internal(`10.0.0.${selfNumber(w)}`) }),
  },
  {
    name: "the gateway, or an address off the segment where there is none",
    claim: (w) => ({ networks: [NETWORK], addresses: internal(w.gateway || "10.0.1.1") }),
  },
  {
    name: "the IPv6 gateway",
    claim: (w) => ({ networks: [NETWORK6], addresses: internal(w.gateway ? "fd00::1" : "fd03::1") }),
  },
  { name: "an address off the segment", claim: address("10.0.1.5") },
  { name: "an address of the Internet", claim: address("9.9.9.9") },
  { name: "an address of a Service", claim: address("10.96.0.1") },
  { name: "an address of a pod", claim: address("10.244.12.2") },
  { name: "the segment's first address", claim: address("10.0.0.0") },
  { name: "broadcast", claim: address("10.0.0.255") },
  { name: "everybody", claim: address("255.255.255.255") },
  { name: "nobody", claim: address("0.0.0.0", "::") },
  { name: "loopback addresses", claim: address("127.0.0.1", "::1") },
  { name: "multicast addresses", claim: address("224.0.0.1", "ff02::1") },
  { name: "link-local addresses", claim: address("169.254.1.1", "fe80::1") },
  { name: "an address with a zone", claim: address("fe80::1%eth0", "10.0.0.200%eth0") },
  { name: "an IPv4 address mapped into IPv6", nothing: (w) => !w.dual, claim: address("::ffff:10.0.0.12") },
  { name: "IPv6's any router", claim: () => ({ networks: [NETWORK6], addresses: internal("fd00::") }) },
  { name: "addresses that are words for nftables", claim: address("10.0.0.12; flush ruleset", "--help", "") },
  {
    name: "addresses of other scripts and control characters",
    claim: address("10.0.0.٧", "\u001b]0;x\u0007", "\u202e7.0.0.01"),
  },
  {
    name: "a thousand addresses",
    claim: () => ({
      networks: [NETWORK],
      addresses: internal(...Array.from({ length: 1000 }, (_, i) => `10.0.1.${i % 256}`)),
    }),
  },
  {
    name: "numbers for addresses",
    nothing: always,
    claim: () => ({ networks: [NETWORK], addresses: [...internal(1, null, {}), 7, null, "10.0.0.12"] }),
  },
  {
    name: "an object for addresses",
    nothing: always,
    claim: () => ({ networks: [NETWORK], addresses: { type: "InternalIP", address: "10.0.0.12" } }),
  },
  { name: "an address only", nothing: always, claim: (_, v) => ({ addresses: internal(...v.addresses) }) },
  { name: "a network only, another's", claim: (_, v) => ({ networks: v.networks }) },
  { name: "nothing", nothing: always, claim: () => ({}) },
  {
    name: "another node's, and taints to look lost",
    claim: (_, v) => ({
      networks: v.networks,
      addresses: good,
      taints: [{ key: "node.kubernetes.io/unreachable" }, null, 7],
    }),
  },
];

/** A hostile Node of a kind in a world; `second` is how long after midnight it was created. */
export function hostileNode(w: World, kind: HostileKind, name: string, second: number): NodeObject {
  const victims = w.nodes.filter((n) => n.metadata.name !== w.self);
  const victim = victims[w.random(victims.length)]!;
  const {
    networks,
    network: old,
    addresses,
    taints,
  } = kind.claim(w, {
    networks: (victim.spec as { podCIDRs: string[] }).podCIDRs,
    addresses: (victim.status as { addresses: { type: string; address: string }[] }).addresses
      .filter((a) => a.type === "InternalIP")
      .map((a) => a.address),
  });
  return {
    metadata: { name, uid: uid(w.random), creationTimestamp: at(second) },
    spec: {
      ...(networks === undefined ? {} : { podCIDRs: networks }),
      ...(old === undefined ? {} : { podCIDR: old }),
      ...(taints === undefined ? {} : { taints }),
    },
    status: addresses === undefined ? {} : { addresses },
  };
}
