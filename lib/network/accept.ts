import type { ClusterNetwork } from "../cluster/network.ts";
import type { LinkAddress } from "../host/facts.ts";
import {
  type Cidr,
  canonicalIp,
  contains,
  encloses,
  formatCidr,
  hostBits,
  hostCidr,
  overlaps,
  parseCidr,
  parseIp,
} from "../net/ip.ts";
import type { NodeClaim } from "./claims.ts";
import { type HostNetwork, nodeLink } from "./host.ts";
import type { Route } from "./routes.ts";

/** What is left out of what a Node says of itself, for an Event. */
export interface Refusal {
  node: { name: string; uid: string };
  /** Each names the claim and says what is wrong with it, in words that are the same on every node of the segment. */
  reasons: string[];
}

/** What of the Nodes' claims a node acts on. */
export interface Accepted {
  /** To the other nodes' pods. */
  routes: Route[];
  /** Addresses of the nodes of this segment, this one's own among them. */
  nodeAddresses: string[];
  refusals: Refusal[];
}

/** A Node and what counts of its claims. */
interface Judged {
  node: NodeClaim;
  networks: Cidr[];
  addresses: Map<4 | 6, string>;
  reasons: string[];
}

/**
 * Decides which routes to other nodes' pods are made, and for which addresses nothing is masqueraded.
 *
 * A kubelet's credentials allow it to register its own Node with any pod network and any addresses, and to change its
 * addresses later (NodeRestriction looks at neither; a network that is set stays). So a claim counts only where it fits
 * what the control plane says (see ClusterNetwork) and what this host sees itself:
 *
 * - A pod network is one that the control plane may have handed out: inside the pods' range and of the node mask's
 *   size, hence no default route, no Service and no machine; neither this node's nor an earlier node's. The controller
 *   manager gives no network away that a Node claims which it knows of, so a thief of a network is later than its owner.
 * - Later is by creation time, which the API server sets to the second; within one by what was heard of first; and where
 *   both came at once, since this node has just started, by whose route stands. Where nothing tells, none gets a route.
 *   A uid would tell nothing: who has several credentials registers until one fits.
 * - An address lies on this node's own segment, and is neither this host's nor the default gateway's.
 * - Where several Nodes claim one address, those keep it whose routes stand already and that the control plane has not
 *   lost contact with, so that nobody loses a route by what another says later. Where none of them has a route (this
 *   node has just started) all get theirs: a route to another's pods by a shared address takes nothing from its owner.
 *
 * Not defended: who has another node's credentials is that node to the API server, and so to this. A bootstrap token
 * gives credentials of any name, also of a node that is down. Who claims an address before its owner joins keeps the
 * owner's pods from having routes until that Node is deleted; the Event names both. An address of the segment that
 * belongs to a machine that is no node can be claimed: it leads the claimant's own pods astray, and connections of pods
 * to that machine are then not masqueraded. API servers whose clocks differ date Nodes differently. And whoever is on
 * the segment can always send packets with other senders' addresses and answer for them (ARP, NDP): there is no tunnel
 * that would keep them apart.
 */
export function acceptClaims(
  nodes: NodeClaim[],
  self: NodeClaim,
  cluster: ClusterNetwork,
  host: HostNetwork,
): Accepted {
  const judge = new Judge(self, cluster, host);
  const judged = nodes.filter((node) => node.name !== self.name).map((node) => judge.judge(node));
  const standing = new Set(host.own.map(routeKey));
  giveNetworks(judged, standing);
  // Two that claim both the same network and the same address are given one route.
  const routes = [...new Map(shareAddresses(judged, standing).map((route) => [routeKey(route), route])).values()];
  return {
    routes: routes.sort((a, b) => (a.cidr < b.cidr ? -1 : 1)),
    nodeAddresses: [...new Set([...self.addresses.flatMap(canonical), ...routes.map(({ via }) => via)])].sort(),
    refusals: judged
      .filter(({ reasons }) => reasons.length > 0)
      .map(({ node, reasons }) => ({ node: { name: node.name, uid: node.uid }, reasons })),
  };
}

type PodRoute = Route & { via: string };

const routeKey = ({ cidr, via }: Route) => `${cidr} ${via}`;

const canonical = (address: string) => canonicalIp(address) ?? [];

/** A text out of a Node as it may be shown: in quotes, with nothing but printable ASCII. */
const quoted = (text: string) =>
  JSON.stringify(text).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** The routes to a Node's pods. */
const routesTo = ({ networks, addresses }: Judged): PodRoute[] =>
  networks.flatMap((cidr) => {
    const via = addresses.get(cidr.family);
    return via === undefined ? [] : [{ cidr: formatCidr(cidr), via }];
  });

/** Leaves every network to one Node: to the earliest. All networks of a family are of one size, so two are the same or apart. */
function giveNetworks(judged: Judged[], standing: Set<string>): void {
  const age = ({ node }: Judged) => `${node.created} ${String(node.heard).padStart(16, "0")}`;
  const claims = judged.flatMap((who) => who.networks.map((cidr) => ({ who, cidr, text: formatCidr(cidr) })));
  for (const [text, rivals] of Map.groupBy(claims, (claim) => claim.text)) {
    if (rivals.length === 1) continue;
    const first = rivals.map(({ who }) => age(who)).sort()[0];
    const earliest = rivals.filter(({ who }) => age(who) === first);
    const kept =
      earliest.length === 1
        ? earliest
        : earliest.filter(({ who }) =>
            routesTo(who).some((route) => route.cidr === text && standing.has(routeKey(route))),
          );
    const owners = (kept.length > 0 ? kept : earliest).map(({ who }) => who.node.name).join(" and ");
    for (const { who, cidr } of rivals.filter((claim) => !kept.includes(claim))) {
      who.networks = who.networks.filter((other) => other !== cidr);
      who.reasons.push(`pod network ${text} is the network of node ${owners}`);
    }
  }
}

/** The routes by addresses that belong to one Node, and those by addresses that several claim as far as they may. */
function shareAddresses(judged: Judged[], standing: Set<string>): PodRoute[] {
  const claims = judged.flatMap((who) => routesTo(who).map((route) => ({ who, route })));
  return [...Map.groupBy(claims, ({ route }) => route.via)].flatMap(([via, rivals]) => {
    const names = new Set(rivals.map(({ who }) => who.node.name));
    const there = rivals.filter(({ who, route }) => !who.node.unreachable && standing.has(routeKey(route)));
    const kept = names.size === 1 || there.length === 0 ? rivals : there;
    const owners = [...new Set(kept.map(({ who }) => who.node.name))].join(" and ");
    for (const { who } of rivals.filter((claim) => !kept.includes(claim)))
      who.reasons.push(`address ${via} is the address of node ${owners}`);
    return kept.map(({ route }) => route);
  });
}

/** What a single Node's claims are measured by. */
class Judge {
  readonly #self: NodeClaim;
  readonly #cluster: ClusterNetwork;
  readonly #services: Cidr[];
  readonly #segments: Cidr[];
  /** Those of the pods that this host has an address of: it cannot tell about others, nor reach anybody by them. */
  readonly #families: Set<4 | 6>;
  readonly #ownNetworks: Cidr[];
  readonly #ownAddresses: Set<string>;
  readonly #gateways: Set<string>;

  constructor(self: NodeClaim, cluster: ClusterNetwork, host: HostNetwork) {
    this.#self = self;
    this.#cluster = cluster;
    this.#services = cluster.serviceRanges.flatMap((range) => parseCidr(range) ?? []);
    this.#segments = ([4, 6] as const).flatMap((family) => segmentsOf(host, nodeLink(host, self.addresses, family)));
    const seen = this.#segments.map((segment) => segment.family);
    this.#families = new Set(cluster.podRanges.flatMap(({ cidr }) => (seen.includes(cidr.family) ? cidr.family : [])));
    this.#ownNetworks = self.podCidrs.flatMap((text) => parseCidr(text) ?? []);
    this.#ownAddresses = new Set([...host.addresses.map((a) => a.address), ...self.addresses.flatMap(canonical)]);
    const defaults = host.routes.filter(({ cidr }) => cidr.bits === 0);
    this.#gateways = new Set(defaults.flatMap(({ gateway }) => gateway ?? []));
  }

  judge(node: NodeClaim): Judged {
    const reasons = node.more > 0 ? [`${node.more} more networks and addresses`] : [];
    return { node, networks: this.#networks(node, reasons), addresses: this.#addresses(node, reasons), reasons };
  }

  #networks(node: NodeClaim, reasons: string[]): Cidr[] {
    const found: Cidr[] = [];
    for (const text of node.podCidrs) {
      const cidr = parseCidr(text);
      const why = cidr ? this.#networkProblem(text, cidr, found) : "is no network";
      if (why === undefined) found.push(cidr!);
      else reasons.push(`pod network ${quoted(text)} ${why}`);
    }
    return found;
  }

  #networkProblem(text: string, cidr: Cidr, found: Cidr[]): string | undefined {
    const range = this.#cluster.podRanges.find((r) => r.cidr.family === cidr.family);
    if (!range || !encloses(range.cidr, cidr)) return "is outside the cluster's pod range";
    if (cidr.bits !== range.nodeBits) return `is not of the size that nodes get, /${range.nodeBits}`;
    if (parseIp(text.split("/")[0]!)?.value !== cidr.base) return "has host bits set";
    if ([...this.#services, ...this.#segments].some((other) => overlaps(other, cidr)))
      return "overlaps the addresses of Services or nodes";
    if (found.some(({ family }) => family === cidr.family)) return `is a second network of IPv${cidr.family}`;
    return this.#ownNetworks.some((own) => overlaps(own, cidr))
      ? `is the network of node ${this.#self.name}`
      : undefined;
  }

  /** The address of each family that a Node is reached by: the first that can be one, as the control plane's components take the first. */
  #addresses(node: NodeClaim, reasons: string[]): Map<4 | 6, string> {
    const found = new Map<4 | 6, string>();
    for (const text of node.addresses) {
      const family = parseIp(text)?.family;
      if (family && (found.has(family) || !this.#families.has(family))) continue;
      const why = family ? this.#addressProblem(canonicalIp(text)!) : "is no address";
      if (why === undefined) found.set(family!, canonicalIp(text)!);
      else reasons.push(`address ${quoted(text)} ${why}`);
    }
    return found;
  }

  #addressProblem(address: string): string | undefined {
    if (this.#ownAddresses.has(address)) return `is the address of node ${this.#self.name}`;
    if (this.#gateways.has(address)) return "is the default gateway";
    const segments = this.#segments.filter((segment) => contains(segment, address));
    if (segments.length === 0) return "is not on the nodes' segment";
    const { base } = hostCidr(address)!;
    return segments.some((segment) => isShared(segment, base)) ? "is not a host's address" : undefined;
  }
}

/**
 * What a node reaches without a router by the link that the others know it by: the network of its address, and those
 * that routes add (an address of DHCPv6 or of a cloud often has a network of its own, /128 or /32). Routes to Services
 * look the same, and are none.
 */
function segmentsOf(host: HostNetwork, link: LinkAddress | undefined): Cidr[] {
  if (!link) return [];
  const own = new Set(host.own.map(({ cidr }) => cidr));
  const direct = host.routes.filter(
    ({ cidr, gateway, interface: name }) =>
      name === link.interface &&
      !gateway &&
      cidr.bits > 0 &&
      contains(cidr, link.address) &&
      !own.has(formatCidr(cidr)),
  );
  return [link.network, ...direct.map(({ cidr }) => cidr)];
}

/** Whether an address of a segment means all of it, or any router on it (RFC 919, RFC 4291 §2.6.1). */
function isShared(segment: Cidr, address: bigint): boolean {
  const size = 1n << BigInt(hostBits(segment));
  // Two addresses are for two machines (RFC 3021, RFC 6164).
  if (size <= 2n) return false;
  return address === segment.base || (segment.family === 4 && address === segment.base + size - 1n);
}
