import { HOST_RESOLV_CONF, OWN_RESOLV_CONF, SYSTEMD_RESOLVED_CONF } from "../constants/paths.ts";
import { contains, formatIp, parseCidr, parseIp } from "../net/ip.ts";
import type { Files } from "./files.ts";

/** A resolv.conf as the kubelet reads it (pkg/kubelet/network/dns, parseResolvConf). */
export interface ResolvConf {
  path: string;
  nameservers: string[];
  searches: string[];
  options: string[];
  /** Whether it has a `nameserver` line without an address, for which the kubelet refuses the file and every pod. */
  refused: boolean;
}

/** What pods are given: the file that their kubelet reads. */
export interface PodResolvConf {
  path: string;
  /** Those that pods can reach, at most three. */
  nameservers: string[];
  /** Why it is not the host's own; undefined where it is. */
  why?: string;
}

/** More than these neither the C library nor the kubelet takes (glibc MAXNS, validation.MaxDNSNameservers). */
const MAX_NAMESERVERS = 3;

/** A resolv.conf's text: of `search` the last line counts, options and nameservers add up. */
export function parseResolvConf(path: string, text: string): ResolvConf {
  const conf: ResolvConf = { path, nameservers: [], searches: [], options: [], refused: false };
  for (const line of text.split("\n")) {
    const [word, ...values] = line.trim().split(/\s+/);
    if (word === "nameserver" && values[0] === undefined) conf.refused = true;
    else if (word === "nameserver") conf.nameservers.push(values[0]!);
    else if (word === "search") conf.searches = values.filter((domain) => domain !== ".");
    else if (word === "options") conf.options.push(...values);
  }
  return conf;
}

/** A resolv.conf of a host's files; without anything in it where it is not there. */
export const readResolvConf = (files: Files, path: string): ResolvConf =>
  parseResolvConf(path, files.readText(path) ?? "");

/** The files that can name a host's nameservers: its own first, then the one that systemd-resolved's stub stands for. */
export const readResolvConfs = (files: Files): ResolvConf[] =>
  [HOST_RESOLV_CONF, SYSTEMD_RESOLVED_CONF].map((path) => readResolvConf(files, path));

/**
 * Addresses that mean something else in a pod than on its host, or no host at all: this host and network (RFC 1122),
 * multicast and broadcast, link-local IPv6 (RFC 4291). IPv4 link-local ones are not among them: clouds and NodeLocal
 * DNSCache have nameservers there, and the host routes pods to them.
 */
const UNREACHABLE = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"].map(
  (network) => parseCidr(network)!,
);

/** The text of a nameserver's address as pods can use it; undefined where they cannot reach it. `own` are the cluster DNS' own addresses. */
function reachable(nameserver: string, own: string[]): string | undefined {
  const ip = parseIp(nameserver);
  if (!ip) return undefined;
  // ::ffff:127.0.0.1 and ::127.0.0.1 are IPv4 (RFC 4291 §2.5.5); :: and ::1 are not.
  const [prefix, last] = [ip.value >> 32n, ip.value & 0xffffffffn];
  const inner = ip.family === 6 && (prefix === 0xffffn || (prefix === 0n && last > 1n));
  const address = inner ? formatIp(last, 4) : formatIp(ip.value, ip.family);
  const loops = own.some((text) => parseIp(text)?.value === parseIp(address)?.value);
  return loops || UNREACHABLE.some((network) => contains(network, address)) ? undefined : address;
}

/** The nameservers of a resolv.conf that pods can reach, each once, at most three. `own` are the cluster DNS' own addresses. */
export function podNameservers(conf: ResolvConf, own: string[]): string[] {
  const usable = conf.nameservers.flatMap((nameserver) => reachable(nameserver, own) ?? []);
  return [...new Set(usable)].slice(0, MAX_NAMESERVERS);
}

/** The first resolv.conf with a nameserver that pods can reach. */
const best = (confs: ResolvConf[], own: string[]): ResolvConf | undefined =>
  confs.find((conf) => podNameservers(conf, own).length > 0);

/**
 * The resolv.conf for a host's pods. It is the host's own where that gives pods exactly the nameservers that they can
 * reach, so that it stays up to date by itself; else the one with systemd-resolved's real ones; else one of kubestick's
 * own, which has what `ownResolvConf` gives. A nameserver that is not reached costs a wait with every (second) name, and
 * CoreDNS ends when it is asked to forward to itself.
 */
export function podResolvConf(confs: ResolvConf[], own: string[]): PodResolvConf {
  const chosen = best(confs, own);
  const host = confs[0]!;
  if (!chosen) {
    const none = host.nameservers.length === 0 ? "names no nameserver" : `names only ${list(host.nameservers)}`;
    return {
      path: OWN_RESOLV_CONF,
      nameservers: [],
      why: `${host.path} ${none}${host.nameservers.length === 0 ? "" : ", which pods cannot reach"}`,
    };
  }
  const nameservers = podNameservers(chosen, own);
  const asItIs = chosen.nameservers.slice(0, MAX_NAMESERVERS).join() === nameservers.join();
  if (asItIs && !chosen.refused)
    return chosen === host
      ? { path: chosen.path, nameservers }
      : {
          path: chosen.path,
          nameservers,
          why: `${host.path} points to a stub that pods cannot reach, and this file has the real nameservers`,
        };
  const left = chosen.nameservers.filter((nameserver) => reachable(nameserver, own) === undefined);
  const why =
    left.length > 0
      ? `pods cannot reach ${list(left)} of ${chosen.path}`
      : chosen.refused
        ? `${chosen.path} has a nameserver line without an address, and the kubelet refuses that`
        : `${chosen.path} names a nameserver twice, and pods get only ${MAX_NAMESERVERS}`;
  return { path: OWN_RESOLV_CONF, nameservers, why };
}

const list = (names: string[]) => [...new Set(names)].join(", ");

/** The text of kubestick's own resolv.conf: what of a host's pods can use. */
export function ownResolvConf(confs: ResolvConf[], own: string[]): string {
  const chosen = best(confs, own);
  // A file with no option at all makes containerd fall back to the host's own resolv.conf.
  if (!chosen)
    return "# Written by kubestick: this host has no nameserver that pods could use.\noptions timeout:1 attempts:1\n";
  return [
    `# Written by kubestick: the nameservers of ${chosen.path} that pods can reach.`,
    ...podNameservers(chosen, own).map((address) => `nameserver ${address}`),
    ...(chosen.searches.length > 0 ? [`search ${chosen.searches.join(" ")}`] : []),
    ...(chosen.options.length > 0 ? [`options ${chosen.options.join(" ")}`] : []),
    "",
  ].join("\n");
}
