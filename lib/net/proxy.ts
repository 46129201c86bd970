import { getCACertificates } from "node:tls";
import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici/index.js";
import { UsageError } from "../errors.ts";
import { canonicalIp, contains, isLoopback, parseCidr, splitHostPort } from "./ip.ts";

/** The variables of a process that may name a proxy. */
export type Environment = Record<string, string | undefined>;

/** An entry of NO_PROXY; without a port it is for every port. */
type Exception = { port?: string } & ({ suffix: string; exact?: string } | { ip: string } | { network: string });

/**
 * The proxy that the environment has for a URL, as Go's programs choose it (golang.org/x/net/http/httpproxy), and so
 * kubeadm, the kubelet and containerd: HTTPS_PROXY or HTTP_PROXY by the URL's scheme, `host:port` is `http://host:port`,
 * loopback is never asked through one, NO_PROXY holds `*`, addresses, networks in CIDR notation, and names, which are
 * for the names below them too, each with or without a port. Undefined where the URL is asked directly. Throws UsageError
 * that names the variable when it is no URL of an HTTP proxy.
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
  const names = url.protocol === "https:" ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"];
  const name = names.find((n) => environment[n]);
  if (name === undefined || isDirect(url, environment["NO_PROXY"] || environment["no_proxy"] || "")) return undefined;
  const text = environment[name]!.trim();
  const proxy = parseUrl(text.includes("://") ? text : `http://${text}`);
  // A proxy is a host and a port; undici refuses a path.
  if (proxy && ["http:", "https:"].includes(proxy.protocol))
    return Object.assign(proxy, { pathname: "/", search: "", hash: "" });
  // A proxy's URL may hold a password.
  throw new UsageError(
    `${name} is not the URL of an HTTP proxy${proxy ? `: kubestick does not speak ${proxy.protocol.slice(0, -1)}` : ""}`,
    `set it to http://HOST:PORT or HOST:PORT, or unset it, or put ${url.hostname} into NO_PROXY`,
  );
}

/** undici's options, and authorities (PEM) that are trusted besides. */
type OutwardOptions = Omit<Agent.Options, "connect" | "factory"> & { ca?: string[] };

/**
 * A dispatcher of undici's for servers outside the cluster: each is asked through the environment's proxy for it, if there
 * is one (see proxyFor), and may have a certificate of the well-known authorities or of those that this host trusts.
 */
export function environmentAgent(options: OutwardOptions, environment: Environment): Dispatcher {
  const { ca = [], ...rest } = options;
  const tls = {
    ca: [...getCACertificates("bundled"), ...getCACertificates("system"), ...getCACertificates("extra"), ...ca],
  };
  return new Agent({
    ...rest,
    connect: tls,
    factory: (origin, pool) => {
      const proxy = proxyFor(new URL(origin), environment);
      return proxy
        ? new ProxyAgent({ ...rest, uri: proxy.href, requestTls: tls, proxyTls: tls })
        : new Pool(origin, pool);
    },
  });
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) && new URL(text).host !== "" ? new URL(text) : undefined;
}

function isDirect(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const ip = canonicalIp(host);
  if (host === "localhost" || (ip && isLoopback(ip))) return true;
  const entries = noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter(Boolean);
  return entries.includes("*") || entries.flatMap(exception).some((entry) => covers(entry, host, ip, port));
}

function exception(entry: string): Exception[] {
  if (parseCidr(entry)) return [{ network: entry }];
  const split = splitHostPort(entry);
  const host = split?.host ?? entry;
  const port = split?.port === undefined ? {} : { port: String(split.port) };
  const ip = canonicalIp(host);
  if (ip) return [{ ip, ...port }];
  const name = host.startsWith("*.") ? host.slice(1) : host;
  if (name === "" || name === ".") return [];
  return [name.startsWith(".") ? { suffix: name, ...port } : { suffix: `.${name}`, exact: name, ...port }];
}

function covers(entry: Exception, host: string, ip: string | undefined, port: string): boolean {
  if (entry.port !== undefined && entry.port !== port) return false;
  if ("network" in entry) return ip !== undefined && contains(parseCidr(entry.network)!, ip);
  if ("ip" in entry) return ip === entry.ip;
  return host.endsWith(entry.suffix) || host === entry.exact;
}
