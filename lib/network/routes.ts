import { ROUTE_PROTOCOL } from "../constants/network.ts";
import { tryRun } from "../host/process.ts";
import { canonicalIp, formatCidr, hostCidr, parseCidr } from "../net/ip.ts";

/** A route of kubestick's: to another node's pods by that node's address, or to a range of Services by an interface. */
export interface Route {
  cidr: string;
  via?: string;
  /** The interface, and the address that connections by it come from. */
  dev?: string;
  src?: string;
}

const FAMILIES = ["-4", "-6"] as const;
const familyOf = (cidr: string) => (cidr.includes(":") ? "-6" : "-4");

/** Routes out of what `ip route show` prints, one a line; an address alone stands for its network of one. */
export function parseRouteList(text: string): Route[] {
  return text.split("\n").flatMap((line) => {
    const [destination = "", ...words] = line.trim().split(/\s+/);
    const cidr = parseCidr(destination) ?? hostCidr(destination);
    if (!cidr) return [];
    const after = (word: string) => {
      const at = words.indexOf(word);
      return at === -1 ? undefined : words[at + 1];
    };
    const [via, dev, src] = [canonicalIp(after("via") ?? ""), after("dev"), canonicalIp(after("src") ?? "")];
    return [{ cidr: formatCidr(cidr), ...(via ? { via } : {}), ...(dev ? { dev } : {}), ...(src ? { src } : {}) }];
  });
}

/** The routes that kubestick has made on this host, known by their protocol number. */
export function ownRoutes(): Route[] {
  return FAMILIES.flatMap((family) =>
    parseRouteList(tryRun("ip", [family, "route", "show", "proto", ROUTE_PROTOCOL]).stdout),
  );
}

/** Whether a route that is there does all that one that is wanted says. */
const does = (have: Route, wanted: Route) =>
  have.cidr === wanted.cidr &&
  have.via === wanted.via &&
  (wanted.dev === undefined || have.dev === wanted.dev) &&
  (wanted.src === undefined || have.src === wanted.src);

/**
 * Makes the routes that are wanted out of those that are there, all of them kubestick's own: new and moved ones are
 * set, stale ones removed. Somebody else's route to the same network is never replaced. Gives what changed, and what
 * the kernel refused: one refusal must not cost the others their routes.
 */
export function applyRoutes(wanted: Route[], have: Route[]): { changes: string[]; refusals: string[] } {
  const changes: string[] = [];
  const refusals: string[] = [];
  const change = (words: string[], cidr: string, what: string) => {
    const out = tryRun("ip", [familyOf(cidr), "route", ...words, "proto", ROUTE_PROTOCOL]);
    if (out.status === 0) changes.push(what);
    else refusals.push(`${what}: refused: ${out.stderr.trim()}`);
  };
  for (const { cidr } of have.filter((r) => !wanted.some((w) => w.cidr === r.cidr)))
    change(["del", cidr], cidr, `no route to ${cidr} any more`);
  for (const route of wanted) {
    if (have.some((r) => does(r, route))) continue;
    const { cidr, via, dev, src } = route;
    const words = [...(via ? ["via", via] : []), ...(dev ? ["dev", dev] : []), ...(src ? ["src", src] : [])];
    // "replace" takes whatever route to the network it finds, so it is for kubestick's own only.
    const verb = have.some((r) => r.cidr === cidr) ? "replace" : "add";
    change([verb, cidr, ...words], cidr, `route to ${cidr} ${words.join(" ")}`);
  }
  return { changes, refusals };
}

/** Takes all of kubestick's routes off this host. Gives what was removed. */
export function removeOwnRoutes(): string[] {
  return applyRoutes([], ownRoutes()).changes;
}
