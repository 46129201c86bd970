import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, request } from "undici/index.js";
import { USER_AGENT } from "../constants/names.ts";
import { errno, KubestickError, reason } from "../host/errors.ts";
import { isLoopback } from "../host/net.ts";
import { proxyAgent } from "../host/proxy.ts";

const MAX_REDIRECTS = 5;
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 250;

/** An answer that is not what was asked for. */
export class HttpError extends KubestickError {
  override name = "HttpError";

  constructor(
    readonly url: string,
    readonly status: number,
    readonly headers: Record<string, string | string[] | undefined> = {},
    hint?: string,
  ) {
    super(`${url} answered with status ${status}`, { hint: hint ?? STATUS_HINTS[status] });
  }
}

const STATUS_HINTS: Record<number, string> = {
  401: "it wants credentials: log in (docker login, skopeo login), or give a file with --registry-config",
  403: "it refuses; check the name, and the credentials in --registry-config",
  404: "check the name and version; --registry-mirror names another place that has it",
};

/** A GET's parts. */
export interface Get {
  url: string;
  headers?: Record<string, string>;
}

/**
 * Downloads over HTTP: HTTPS everywhere, plain HTTP only to loopback and to hosts named with --insecure-registry; proxies
 * from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; redirects followed without the credentials of the first host.
 */
export class Downloader {
  readonly #agent = proxyAgent({ connections: 8 });
  readonly #plain: Set<string>;

  constructor(plainHosts: Iterable<string> = []) {
    this.#plain = new Set(plainHosts);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Sends a GET and gives the answer with its stream, for statuses 200 and 206. Throws HttpError or KubestickError. */
  async get({ url, headers = {} }: Get): Promise<Dispatcher.ResponseData> {
    let at = url;
    let sent: Record<string, string> = { "user-agent": USER_AGENT, ...headers };
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      this.#check(at);
      const response = await request(at, {
        headers: sent,
        dispatcher: this.#agent,
        headersTimeout: 30_000,
        bodyTimeout: 60_000,
      });
      const location = response.headers["location"];
      if ([301, 302, 303, 307, 308].includes(response.statusCode) && typeof location === "string") {
        await response.body.dump();
        const next = new URL(location, at).href;
        if (new URL(next).host !== new URL(at).host) {
          const { authorization: _, ...rest } = sent;
          sent = rest;
        }
        at = next;
        continue;
      }
      if (response.statusCode === 200 || response.statusCode === 206) return response;
      await response.body.dump();
      throw new HttpError(at, response.statusCode, response.headers);
    }
    throw new KubestickError(`${url} redirects more than ${MAX_REDIRECTS} times`);
  }

  /** How long a file is, where its server tells at once; undefined where it does not. Nothing is tried again. */
  async length(url: string): Promise<number | undefined> {
    try {
      const { headers, body, statusCode } = await this.get({ url, headers: { range: "bytes=0-0" } });
      body.on("error", () => undefined);
      body.destroy();
      const told =
        statusCode === 206 ? /\/(\d+)$/.exec(String(headers["content-range"]))?.[1] : headers["content-length"];
      return told === undefined ? undefined : Number(told);
    } catch {
      return undefined;
    }
  }

  /** The whole of a small answer. Throws KubestickError when it is larger than `limit` bytes. */
  async bytes(get: Get, limit: number): Promise<{ data: Buffer; headers: Dispatcher.ResponseData["headers"] }> {
    return retryDownload(get.url, async () => {
      const response = await this.get(get);
      const parts: Buffer[] = [];
      let length = 0;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > limit) {
          response.body.destroy();
          throw new KubestickError(`${get.url} sent more than ${limit} bytes`);
        }
        parts.push(chunk);
      }
      return { data: Buffer.concat(parts), headers: response.headers };
    });
  }

  #check(url: string): void {
    const { protocol, hostname, host } = new URL(url);
    if (protocol === "https:") return;
    const bare = hostname.replace(/^\[|\]$/g, "");
    if (protocol === "http:" && (bare === "localhost" || isLoopback(bare) || this.#plain.has(host))) return;
    throw new KubestickError(`${url} is not HTTPS: anybody on the way could change what it sends`, {
      hint: protocol === "http:" ? `allow it with --insecure-registry ${host}` : undefined,
    });
  }
}

/**
 * Tries a download until it works: connection failures and statuses 408, 429 and 5xx are tried again, with growing
 * pauses and jitter. `progressed` tells whether the last try got any further, which starts the count again.
 */
export async function retryDownload<T>(
  url: string,
  attempt: () => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof HttpError && ![408, 429].includes(error.status) && error.status < 500) throw error;
      if (error instanceof KubestickError && !(error instanceof HttpError)) throw error;
      // A full disk is not the network's fault.
      if (["ENOSPC", "EROFS", "EACCES", "EDQUOT"].includes(errno(error) ?? "")) throw error;
      if (progressed()) tries = 1;
      if (tries >= ATTEMPTS) {
        if (error instanceof KubestickError) throw error;
        throw new KubestickError(`cannot download ${url}: ${reason(error)}`, {
          hint: "check the network, a proxy (HTTPS_PROXY) or --registry-mirror, then run the same command again: it goes on where it stopped",
          cause: error,
        });
      }
      await sleep(FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random()));
    }
  }
}
