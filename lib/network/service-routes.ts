import { SERVICE_RANGES_FILE } from "../constants/network.ts";
import type { Files } from "../host/files.ts";
import { encloses, formatCidr, parseCidr } from "../net/ip.ts";
import { type HostNetwork, nodeLink, readHostNetwork } from "./host.ts";
import { applyRoutes, type Route } from "./routes.ts";

/** What routes to Services are made from. */
export interface ServiceRanges {
  /** In CIDR notation. */
  ranges: string[];
  /** The addresses that the cluster knows this node by, if it does. */
  nodeAddresses: string[];
}

/**
 * The routes that a host's own connections to Services need. Before kube-proxy's rules see a connection the kernel
 * looks for a route, and fails where there is none: "Network is unreachable". Which route it is does not matter, since
 * the rules give the packets another destination in the OUTPUT hook (in every mode of kube-proxy), and they are routed
 * anew. Only the source address is chosen by it, so it names the node's own. A host with a default route, or any other
 * route that encloses the range, needs none.
 */
export function serviceRoutes({ ranges, nodeAddresses }: ServiceRanges, host: HostNetwork): Route[] {
  const own = new Set(host.own.map((route) => route.cidr));
  const others = host.routes.filter(({ cidr }) => !own.has(formatCidr(cidr)));
  return ranges.flatMap((text) => {
    const range = parseCidr(text);
    if (!range || range.bits === 0 || others.some(({ cidr }) => encloses(cidr, range))) return [];
    const link = nodeLink(host, nodeAddresses, range.family);
    return link ? [{ cidr: formatCidr(range), dev: link.interface, src: link.address }] : [];
  });
}

/** Brings this host's routes to Services in line, and leaves kubestick's others alone. See applyRoutes for what it gives. */
export function applyServiceRoutes(files: Files, known: ServiceRanges): { changes: string[]; refusals: string[] } {
  const host = readHostNetwork(files);
  // Routes to pods lead by another node's address.
  const have = host.own.filter((route) => route.via === undefined);
  return applyRoutes(serviceRoutes(known, host), have);
}

/**
 * Keeps on disk what the routes are made from, for a start before the API server answers, and gives it back. Addresses
 * that are known stay where none are given: a Node that is not registered yet, or was deleted, says none.
 */
export function rememberServiceRanges(files: Files, { ranges, nodeAddresses }: ServiceRanges): ServiceRanges {
  const kept = nodeAddresses.length > 0 ? nodeAddresses : recallServiceRanges(files).nodeAddresses;
  const known = { ranges, nodeAddresses: kept };
  const text = `${JSON.stringify(known, null, 1)}\n`;
  if (files.readText(SERVICE_RANGES_FILE) !== text) files.write(SERVICE_RANGES_FILE, text, { mode: 0o644 });
  return known;
}

/** What rememberServiceRanges kept; nothing where it kept nothing, or what is there is damaged. */
export function recallServiceRanges(files: Files): ServiceRanges {
  const texts = (value: unknown) => (Array.isArray(value) ? value.filter((v) => typeof v === "string") : []);
  try {
    const { ranges, nodeAddresses } = JSON.parse(files.readText(SERVICE_RANGES_FILE) ?? "") as Record<string, unknown>;
    return { ranges: texts(ranges), nodeAddresses: texts(nodeAddresses) };
  } catch {
    return { ranges: [], nodeAddresses: [] };
  }
}
