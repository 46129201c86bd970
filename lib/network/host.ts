import { BRIDGE } from "../constants/network.ts";
import { hostAddresses, type LinkAddress } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { tryRun } from "../host/process.ts";
import { readResolvConfs } from "../host/resolv-conf.ts";
import { type HostRoute, readRoutes } from "../host/routes.ts";
import { type Cidr, canonicalIp, encloses, formatCidr } from "../net/ip.ts";
import { ownRoutes, type Route } from "./routes.ts";

/** This host's part in the network, as its kernel and configuration tell it. */
export interface HostNetwork {
  addresses: LinkAddress[];
  /** Routes that packets can take, kubestick's own among them. */
  routes: HostRoute[];
  /** Those of them that kubestick made. */
  own: Route[];
  nameservers: string[];
}

/** Reads this host's part in the network, as it is now. */
export const readHostNetwork = (files: Files): HostNetwork => ({
  addresses: hostAddresses(),
  routes: readRoutes(),
  own: ownRoutes(),
  nameservers: readResolvConfs(files).flatMap(({ nameservers }) =>
    nameservers.flatMap((address) => canonicalIp(address) ?? []),
  ),
});

/**
 * The address, with its interface, that other nodes know this host by in an IP family: the one that its Node names; or
 * else one of the same interface, of the default route's, or the only one. Undefined where there is none, or several
 * and nothing to choose by.
 */
export function nodeLink(
  host: Pick<HostNetwork, "addresses" | "routes">,
  nodeAddresses: string[],
  family: 4 | 6,
): LinkAddress | undefined {
  const names = nodeAddresses.map(canonicalIp);
  const told = host.addresses.filter((a) => names.includes(a.address));
  const some = host.addresses.filter((a) => a.family === family);
  const defaults = host.routes.filter(({ cidr }) => cidr.bits === 0).map((route) => route.interface);
  return (
    told.find((a) => a.family === family) ??
    some.find((a) => told.some((other) => other.interface === a.interface)) ??
    some.find((a) => defaults.includes(a.interface)) ??
    (some.length === 1 ? some[0] : undefined)
  );
}

/**
 * Other networks' routes into networks of pods: an earlier network's bridge (cni0), or its routes to other nodes. They
 * lead packets astray that kubestick's are for.
 */
export function routesInTheWay(host: Pick<HostNetwork, "routes" | "own">, networks: Cidr[]): HostRoute[] {
  const own = new Set(host.own.map(({ cidr }) => cidr));
  return host.routes.filter(
    (route) =>
      route.interface !== BRIDGE &&
      networks.some((network) => encloses(network, route.cidr)) &&
      !own.has(formatCidr(route.cidr)),
  );
}

/** What removes a route that is in the way. */
export function removalOf({ cidr, gateway, interface: name }: HostRoute): string {
  return gateway ? `ip route del ${formatCidr(cidr)} via ${gateway}` : `ip link del ${name}`;
}

const DEFAULT_MTU = 1500;

/** An interface's MTU; not out of /sys, which shows another network namespace's where it was not mounted anew. */
const linkMtu = (name: string) =>
  Number(/ mtu (\d+)/.exec(tryRun("ip", ["-o", "link", "show", "dev", name]).stdout)?.[1]);

/**
 * The MTU of pods: the smallest of the interfaces that their packets leave by, to other nodes' pods and beyond. A
 * default route by a tunnel (WireGuard: 1420) often leads where nobody says that a packet is too large.
 */
export function podMtu(
  host: Pick<HostNetwork, "addresses" | "routes">,
  nodeAddresses: string[],
  mtuOf: (link: string) => number = linkMtu,
): number {
  const links = ([4, 6] as const).flatMap((family) => {
    const defaults = host.routes.filter(({ cidr }) => cidr.bits === 0 && cidr.family === family);
    const [first] = defaults.sort((a, b) => a.metric - b.metric);
    return [nodeLink(host, nodeAddresses, family)?.interface ?? [], first?.interface ?? []].flat();
  });
  const mtus = [...new Set(links)].map(mtuOf).filter((mtu) => mtu > 0);
  return mtus.length > 0 ? Math.min(...mtus) : DEFAULT_MTU;
}
