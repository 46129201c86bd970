import { type Cidr, isDnsSan, isDnsSubdomain, isLoopback, parseCidr, parseIp, splitHostPort } from "../../net/ip.ts";
import type { Report } from "../kind.ts";

/** Checks the address that a control plane node tells others. */
export function checkAdvertiseAddress(address: string | undefined, at: string, report: Report): void {
  if (address === undefined || address === "") return;
  const ip = parseIp(address);
  if (!ip) report(at, `${JSON.stringify(address)} must be an IP address of this host`);
  else if (isLoopback(address))
    report(at, `${address} is a loopback address, which other nodes cannot reach; use the board's own`);
}

/** Checks the name or address of API servers, with or without a port. */
export function checkEndpoint(text: string | undefined, at: string, report: Report): void {
  if (text === undefined) return;
  const parts = splitHostPort(text);
  if (!parts || (parseIp(parts.host) === undefined && !isDnsSubdomain(parts.host))) {
    report(
      at,
      `${JSON.stringify(text)} must be a DNS name or IP address with an optional port, such as cluster.lan:6443`,
    );
  }
}

/** Checks the names and addresses that a certificate shall have besides its own. */
export function checkAltNames(names: string[] | undefined, at: string, report: Report): void {
  for (const [i, name] of (names ?? []).entries()) {
    if (parseIp(name) === undefined && !isDnsSan(name)) {
      report(
        `${at}[${i}]`,
        `${JSON.stringify(name)} must be an IP address or a lower case DNS name, without scheme or port`,
      );
    }
  }
}

/** Checks one network in CIDR form, or two of different families, separated by a comma; gives those that can be read. */
export function checkCidrs(text: string | undefined, at: string, report: Report): Cidr[] {
  if (text === undefined || text === "") return [];
  const parts = text.split(",");
  const parsed = parts.map((part) => parseCidr(part));
  const bad = parsed.indexOf(undefined);
  if (bad !== -1) {
    report(at, `${JSON.stringify(parts[bad])} must be a network in CIDR form, such as 10.244.0.0/16`);
    return [];
  }
  const all = parsed as Cidr[];
  if (all.length > 2 || (all.length === 2 && all[0]!.family === all[1]!.family)) {
    report(at, "must be one network, or two of different IP families (dual-stack)");
  }
  return all;
}
