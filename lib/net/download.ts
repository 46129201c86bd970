import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, request } from "undici/index.js";
import { USER_AGENT } from "../constants/names.ts";
import { errno, KubestickError, reason } from "../errors.ts";
import { isLoopback } from "./ip.ts";
import { environmentAgent } from "./proxy.ts";

const MAX_REDIRECTS = 5;
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 250;
/** For the whole of a small answer. */
const SMALL_ANSWER_MS = 60_000;
/** What is read of an answer that is thrown away, so that its connection can be used again. */
const DUMPED_BYTES = 16 * 1024;
const DUMP_MS = 5_000;

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

/** Whether a host is this machine by its loopback, where nobody can listen on the way. */
export function isLocal(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, "");
  return bare === "localhost" || isLoopback(bare);
}

/**
 * Downloads over HTTP: HTTPS everywhere, plain HTTP only to loopback and to hosts named with --insecure-registry; proxies
 * from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; redirects followed without the credentials of the first host.
 */
export class Downloader {
  readonly #agent = environmentAgent({ connections: 8 }, process.env);
  readonly #plain: Set<string>;

  constructor(plainHosts: Iterable<string> = []) {
    this.#plain = new Set(plainHosts);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Sends a GET and gives the answer with its stream, for statuses 200 and 206. Throws HttpError or KubestickError. */
  async get({ url, headers = {} }: Get, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    let at = this.#allowed(url);
    let sent: Record<string, string> = { "user-agent": USER_AGENT, ...headers };
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await request(at.href, {
        headers: sent,
        dispatcher: this.#agent,
        headersTimeout: 30_000,
        bodyTimeout: 60_000,
        signal,
      });
      if (response.statusCode === 200 || response.statusCode === 206) return response;
      await throwAway(response);
      const location = response.headers["location"];
      if (![301, 302, 303, 307, 308].includes(response.statusCode) || typeof location !== "string")
        throw new HttpError(at.href, response.statusCode, response.headers);
      const next = this.#allowed(location, at);
      if (next.origin !== at.origin) {
        const { authorization: _, ...rest } = sent;
        sent = rest;
      }
      at = next;
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
      const response = await this.get(get, AbortSignal.timeout(SMALL_ANSWER_MS));
      const parts: Buffer[] = [];
      let length = 0;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > limit) {
          abandon(response);
          throw new KubestickError(`${get.url} answers with more than the ${limit} bytes that it may`, {
            hint: "is that the registry or download site? check the name, and --registry-mirror",
          });
        }
        parts.push(chunk);
      }
      return { data: Buffer.concat(parts), headers: response.headers };
    });
  }

  /** A URL that may be asked, or one that `from` redirects to. Throws KubestickError. */
  #allowed(text: string, from?: URL): URL {
    const url = URL.parse(text, from?.href);
    if (!url || !["https:", "http:"].includes(url.protocol) || url.hostname === "")
      throw new KubestickError(
        from
          ? `${from.href} redirects to ${JSON.stringify(text.slice(0, 300))}, which is no address of the web`
          : `${JSON.stringify(text.slice(0, 300))} is no address of the web`,
      );
    if (url.protocol === "https:" || this.#plain.has(url.host)) return url;
    // Another host has no business with what listens on this one.
    if (isLocal(url.hostname) && (!from || isLocal(from.hostname))) return url;
    throw new KubestickError(
      `${from ? `${from.href} redirects to ` : ""}${url.href}${from ? ", which" : ""} is not HTTPS: anybody on the way could change what it sends`,
      { hint: `allow it with --insecure-registry ${url.host}` },
    );
  }
}

/** Reads no more of an answer. The failure that this makes of it is nobody's. */
export function abandon({ body }: Dispatcher.ResponseData): void {
  body.on("error", () => undefined);
  body.destroy();
}

async function throwAway({ body }: Dispatcher.ResponseData): Promise<void> {
  body.on("error", () => undefined);
  await body.dump({ limit: DUMPED_BYTES, signal: AbortSignal.timeout(DUMP_MS) }).catch(() => undefined);
}

/** What a failed connection means, when to try again would not help; by the error's name, code and message. */
const FINAL: [RegExp, (url: string, why: string) => KubestickError][] = [
  [
    /^HTTPParserError | UND_ERR_(HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH) | bad (response|upgrade)$/,
    (url, why) =>
      new KubestickError(`${url} does not answer in HTTP as it should: ${why}`, {
        hint: "is that the registry, or something else that listens there? check the name, and --registry-mirror",
      }),
  ],
  [
    /^\w+ (ERR_SSL_WRONG_VERSION_NUMBER|EPROTO) /,
    (url, why) =>
      new KubestickError(`${url} does not speak TLS: ${why}`, {
        hint: "a registry that speaks plain HTTP is named with --registry-mirror HOST=http://... and --insecure-registry",
      }),
  ],
  [
    /^\w+ \w*(CERT|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|ERR_TLS_)\w* /,
    (url, why) =>
      new KubestickError(`the certificate of ${url} is not trusted: ${why}`, {
        hint: "check this host's clock (date), and whether it trusts that CA (update-ca-certificates)",
      }),
  ],
];

/**
 * Tries a download until it works: connection failures and statuses 408, 429 and 5xx are tried again, with growing
 * pauses and jitter; what cannot become better is not: a malformed answer, a certificate that nobody trusts. `progressed`
 * tells whether the last try got any further, which starts the count again.
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
      const code = errno(error) ?? "";
      const kind = `${error instanceof Error ? error.name : "Error"} ${code} ${reason(error)}`;
      const final = FINAL.find(([pattern]) => pattern.test(kind));
      if (final) throw final[1](url, reason(error));
      // A full disk is not the network's fault.
      if (["ENOSPC", "EROFS", "EACCES", "EDQUOT"].includes(code)) throw error;
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
