import { BRIDGE, NFT_TABLE, ROUTE_PROTOCOL } from "../constants/network.ts";
import { KubestickError } from "../host/errors.ts";
import { findProgram } from "../host/facts.ts";
import { tryRun } from "../host/process.ts";
import type { Route } from "./flat.ts";

const FAMILIES = ["-4", "-6"] as const;
const familyOf = (cidr: string) => (cidr.includes(":") ? "-6" : "-4");

/** The routes that kubestick has made on this host, as `cidr via address`. */
export function ownRoutes(): Route[] {
  return FAMILIES.flatMap((family) => {
    const out = tryRun("ip", [family, "route", "show", "proto", ROUTE_PROTOCOL]);
    return [...out.stdout.matchAll(/^(\S+) via (\S+)/gm)].map((m) => ({ cidr: m[1]!, via: m[2]! }));
  });
}

/**
 * Brings this host's routes in line: new and moved ones are set, stale ones removed. Gives what changed, and what the
 * kernel refused: a node on another segment must not cost the others their routes.
 */
export function applyRoutes(wanted: Route[]): { changes: string[]; refusals: string[] } {
  const have = ownRoutes();
  const changes: string[] = [];
  const refusals: string[] = [];
  const change = (cidr: string, words: string[], what: string) => {
    const out = tryRun("ip", [familyOf(cidr), "route", ...words, "proto", ROUTE_PROTOCOL]);
    if (out.status === 0) changes.push(what);
    else refusals.push(`${what}: refused: ${out.stderr.trim()}`);
  };
  for (const { cidr, via } of wanted) {
    if (have.some((r) => r.cidr === cidr && r.via === via)) continue;
    change(cidr, ["replace", cidr, "via", via], `route to ${cidr} via ${via}`);
  }
  for (const { cidr } of have.filter((r) => !wanted.some((w) => w.cidr === r.cidr)))
    change(cidr, ["del", cidr], `no route to ${cidr} any more`);
  return { changes, refusals };
}

/** Loads nftables rules in one transaction. Throws KubestickError, also where there is no nft. */
export function applyRules(rules: string): void {
  const nft = findProgram("nft");
  if (!nft)
    throw new KubestickError("there is no nft on this host, so pods reach other pods and nodes but nothing beyond", {
      hint: "install nftables",
    });
  const out = tryRun(nft, ["-f", "-"], 10_000, rules);
  if (out.status !== 0) throw new KubestickError(`nft refuses kubestick's rules: ${out.stderr.trim()}`);
}

/** Takes the flat network off this host: its routes, tables and bridge. Gives what was removed. */
export function removeFlatNetwork(): string[] {
  const removed = ownRoutes().map(({ cidr }) => {
    tryRun("ip", [familyOf(cidr), "route", "del", cidr, "proto", ROUTE_PROTOCOL]);
    return `route to ${cidr}`;
  });
  const nft = findProgram("nft");
  for (const family of nft ? ["ip", "ip6"] : [])
    if (tryRun(nft!, ["delete", "table", family, NFT_TABLE]).status === 0) removed.push(`table ${family} ${NFT_TABLE}`);
  if (tryRun("ip", ["link", "del", BRIDGE]).status === 0) removed.push(`link ${BRIDGE}`);
  return removed;
}
