import { hostname, networkInterfaces } from "node:os";
import { canonicalIp, isLoopback, splitHostPort } from "../net/ip.ts";

/** A host's addresses change, by DHCP and by hand. */
const ADDRESSES_KEPT_MS = 5_000;

/**
 * The names and addresses by which this host may be asked for. A server on a LAN that answers to any name can be read by a
 * web page whose author lets a name of his own point to it (DNS rebinding).
 */
export class OwnNames {
  readonly #names: Set<string>;
  readonly #extra: Set<string>;
  #addresses = new Set<string>();
  #read = Number.NEGATIVE_INFINITY;

  /** `more` are names and addresses besides those that the host itself has. */
  constructor(more: string[]) {
    const own = hostname().toLowerCase();
    const short = own.split(".")[0]!;
    this.#names = new Set(["localhost", own, short, `${short}.local`, ...more.map((name) => plain(name))]);
    this.#extra = new Set(more.flatMap((name) => canonicalIp(name) ?? []));
  }

  /**
   * Why a request with this Host header (RFC 9110 §7.2) is not answered: 400 for one that is malformed, 421 for one that
   * is another's. Undefined where it is answered; HTTP/1.0 knows no such header, and no browser speaks it.
   */
  refuse(header: string | null): { status: number; message: string } | undefined {
    if (header === null) return undefined;
    const host = splitHostPort(header)?.host;
    if (host === undefined || !(canonicalIp(host) || /^[A-Za-z0-9._-]+$/.test(host)))
      return { status: 400, message: "the Host header is malformed" };
    if (this.#isOwn(host)) return undefined;
    return {
      status: 421,
      message: `this is not ${JSON.stringify(host)}: ask for it by one of its own addresses or names, or start it with --server-name`,
    };
  }

  #isOwn(host: string): boolean {
    const address = canonicalIp(host);
    if (address === undefined) return this.#names.has(plain(host));
    if (isLoopback(address) || this.#extra.has(address)) return true;
    if (performance.now() - this.#read > ADDRESSES_KEPT_MS) {
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      this.#addresses = new Set(all.flatMap((a) => canonicalIp(a.address) ?? []));
      this.#read = performance.now();
    }
    return this.#addresses.has(address);
  }
}

/** A name as it is compared: small letters, without the root's dot. */
const plain = (name: string) => name.toLowerCase().replace(/\.$/, "");
