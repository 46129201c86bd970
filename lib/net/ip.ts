import { isIP } from "node:net";

/** An IP network: family, first address as a number, and prefix length in bits. */
export interface Cidr {
  family: 4 | 6;
  base: bigint;
  bits: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;

/** An IP address as a number, with its family; undefined when the text is no address (RFC 4291 §2.2, no zone). */
export function parseIp(text: string): { family: 4 | 6; value: bigint } | undefined {
  const family = isIP(text);
  if (family === 4) {
    return { family, value: text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  if (family !== 6 || text.includes("%")) return undefined;
  const v4 = /:(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  let rest = text;
  if (v4) {
    const value = parseIp(v4[1]!)!.value;
    rest = `${text.slice(0, -v4[1]!.length)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  }
  const [head = "", tail] = rest.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const end = tail === "" ? [] : tail.split(":");
    groups.push(...Array<string>(8 - groups.length - end.length).fill("0"), ...end);
  }
  return { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

/** The canonical text of an address (RFC 5952 for IPv6). */
export function formatIp(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const text = groups.join(":");
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort(
    (a, b) => b[0].length - a[0].length || a.index - b.index,
  );
  const run = runs[0];
  if (!run) return text;
  return `${text.slice(0, run.index)}::${text.slice(run.index + run[0].length).replace(/^:/, "")}`;
}

/** Any spelling of an address in its canonical text; undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  return ip && formatIp(ip.value, ip.family);
}

/** The bytes of an address in network order, as an X.509 SAN holds them; undefined when the text is none. */
export function ipBytes(text: string): Buffer | undefined {
  const ip = parseIp(text);
  return ip && Buffer.from(ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, "0"), "hex");
}

/** The text of address bytes out of an X.509 SAN. */
export function ipFromBytes(bytes: Buffer): string {
  return formatIp(BigInt(`0x${bytes.toString("hex") || "0"}`), bytes.length === 4 ? 4 : 6);
}

/** A network in CIDR notation; undefined when the text is none. Host bits are cleared, as Go's net.ParseCIDR does. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const ip = match && parseIp(match[1]!);
  if (!ip) return undefined;
  const bits = Number(match[2]);
  const width = WIDTH[ip.family];
  if (bits > width) return undefined;
  const shift = BigInt(width - bits);
  return { family: ip.family, base: (ip.value >> shift) << shift, bits };
}

/** The canonical text of a network: its first address and its bits. */
export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.base, cidr.family)}/${cidr.bits}`;

/** The network that an address alone makes: /32 or /128. Undefined when the text is no address. */
export function hostCidr(address: string): Cidr | undefined {
  const ip = parseIp(address);
  return ip && { family: ip.family, base: ip.value, bits: WIDTH[ip.family] };
}

/** Whether every address of one network lies in another. */
export const encloses = (outer: Cidr, inner: Cidr): boolean => outer.bits <= inner.bits && overlaps(outer, inner);

/** The IP families of networks (`10.244.0.0/16,fd00::/56`), in their order, each once. */
export function familiesOf(networks: string): (4 | 6)[] {
  return [...new Set(networks.split(",").flatMap((network) => parseCidr(network.trim())?.family ?? []))];
}

/** The address at an index of a network (1 is the first usable one); undefined when it lies outside. */
export function indexedIp(cidr: Cidr, index: number): string | undefined {
  const size = 1n << BigInt(WIDTH[cidr.family] - cidr.bits);
  return BigInt(index) < size ? formatIp(cidr.base + BigInt(index), cidr.family) : undefined;
}

/** How many addresses a network has, as a power of two. */
export function hostBits(cidr: Cidr): number {
  return WIDTH[cidr.family] - cidr.bits;
}

/** Whether two networks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  const shift = BigInt(WIDTH[a.family] - Math.min(a.bits, b.bits));
  return a.base >> shift === b.base >> shift;
}

/** Whether an address lies in a network. */
export function contains(cidr: Cidr, address: string): boolean {
  const host = hostCidr(address);
  return host !== undefined && overlaps(cidr, host);
}

/** host:port with IPv6 in brackets (RFC 3986 §3.2.2). */
export function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Host and optional port of `host`, `host:port`, `[v6]:port` or a bare IPv6 address; undefined when malformed. */
export function splitHostPort(text: string): { host: string; port?: number } | undefined {
  if (isIP(text) !== 0) return { host: text };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const host = match[1] ?? match[2]!;
  if (match[1] !== undefined && isIP(match[1]) !== 6) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return { host, port };
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether a text is an RFC 1123 subdomain: lower case labels of at most 63 characters, 253 in all. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split(".").every((label) => LABEL.test(label));
}

/** Whether a text can be a certificate's DNS name: a subdomain, or one whose first label is `*`. */
export function isDnsSan(text: string): boolean {
  return isDnsSubdomain(text.startsWith("*.") ? text.slice(2) : text);
}

/** Addresses that never reach another host: loopback (RFC 1122, RFC 4291), in IPv4-mapped form too. */
export function isLoopback(address: string): boolean {
  const ip = parseIp(address);
  if (!ip) return false;
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n || ip.value >> 24n === 0xffff7fn;
}
