import { type Cidr, formatIp } from "../net/ip.ts";
import { readSystemFile } from "./system-files.ts";

/** A route of this host that packets can take. */
export interface HostRoute {
  cidr: Cidr;
  /** The next hop; undefined where the network lies on the interface's own segment. */
  gateway?: string;
  interface: string;
  metric: number;
}

/** Flags of a route (linux/route.h, linux/ipv6_route.h). */
const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

/** The kernel's number of an address that /proc/net/route prints in the processor's byte order: little-endian on all of kubestick's. */
const swapped = (hex: string) => BigInt(`0x${hex.match(/../g)!.reverse().join("")}`);

/**
 * The routes in /proc/net/route (the IPv4 main table) and /proc/net/ipv6_route (every IPv6 table), without those that
 * refuse packets, and without loopback. Lines that are not routes are left out.
 */
export function parseRoutes(route: string, route6: string): HostRoute[] {
  const usable = (name: string, flags: number) =>
    name !== "*" && name !== "lo" && (flags & RTF_UP) !== 0 && (flags & RTF_REJECT) === 0;
  const v4 = route
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f.length >= 8 && /^[0-9A-F]{8}$/.test(f[1]!) && usable(f[0]!, Number.parseInt(f[3]!, 16)))
    .map((f) => ({
      cidr: {
        family: 4 as const,
        base: swapped(f[1]!),
        bits: [...swapped(f[7]!).toString(2)].filter((b) => b === "1").length,
      },
      ...(f[2] === "0".repeat(8) ? {} : { gateway: formatIp(swapped(f[2]!), 4) }),
      interface: f[0]!,
      metric: Number(f[6]),
    }));
  const v6 = route6
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f.length === 10 && /^[0-9a-f]{32}$/.test(f[0]!) && usable(f[9]!, Number.parseInt(f[8]!, 16)))
    .map((f) => ({
      cidr: { family: 6 as const, base: BigInt(`0x${f[0]}`), bits: Number.parseInt(f[1]!, 16) },
      ...(f[4] === "0".repeat(32) ? {} : { gateway: formatIp(BigInt(`0x${f[4]}`), 6) }),
      interface: f[9]!,
      metric: Number.parseInt(f[5]!, 16),
    }));
  return [...v4, ...v6];
}

/** The routes that this host has now; see parseRoutes. */
export const readRoutes = (): HostRoute[] =>
  parseRoutes(readSystemFile("/proc/net/route"), readSystemFile("/proc/net/ipv6_route"));
