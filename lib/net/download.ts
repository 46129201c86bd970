import { type Dispatcher, interceptors } from "undici/index.js";
import { USER_AGENT } from "../constants/names.ts";
import { KubestickError } from "../errors.ts";
import { untilItWorks } from "../util/until.ts";
import { BodyLimitError, readBody } from "./body.ts";
import {
  CannotResumeError,
  explain,
  HttpError,
  isFinal,
  MAX_REDIRECTS,
  OTHER_FILE,
  PASSING_STATUSES,
} from "./failures.ts";
import { isLoopback } from "./ip.ts";
import { environmentAgent } from "./proxy.ts";
import { rangeStart, type Trickle, Watch, watching } from "./watch.ts";

/** The longest pause that a server may ask for (Retry-After, RFC 9110 §10.2.3). */
const LONGEST_PAUSE_MS = 30_000;
/** For the whole of a small answer, all tries together. */
const SMALL_ANSWER_MS = 120_000;
/** What is read of an answer that is thrown away, so that its connection can be used again. */
const DUMPED_BYTES = 16 * 1024;
const DUMP_MS = 5_000;

type Headers = Dispatcher.ResponseData["headers"];

/** A GET's parts. */
export interface Get {
  url: string;
  headers?: Record<string, string>;
}

/** How much a server is put up with. */
export interface Patience {
  trickle: Trickle;
  /** Tries that get no further, one after the other. */
  attempts: number;
  /** The pause after the first of them in milliseconds; it doubles each time. */
  pauseMs: number;
}

const PATIENCE: Patience = { trickle: { ms: 60_000, bytes: 4 * 1024 }, attempts: 6, pauseMs: 250 };

/** A file that is being downloaded. */
export interface Download {
  /** The byte of the file that it begins with: what was asked for, or 0 from a server that knows no ranges. */
  from: number;
  /** Throws KubestickError; CannotResumeError where it has to begin again. */
  chunks: AsyncGenerator<Buffer>;
}

/** Whether a host is this machine by its loopback, where nobody can listen on the way. */
export function isLocal(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, "");
  return bare === "localhost" || isLoopback(bare);
}

/**
 * Downloads over HTTP: HTTPS everywhere, plain HTTP only to loopback and to hosts named with --insecure-registry; proxies
 * from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; redirects followed without the credentials of the first host. Connections that
 * fail, and statuses 408, 429 and 5xx, are tried again, with growing pauses and jitter, as long as that gets further; what
 * broke off goes on where it stopped. A malformed answer, or a certificate that nobody trusts, is final.
 */
export class Downloader {
  readonly #agent = environmentAgent({ connections: 8 }, process.env);
  readonly #plain: Set<string>;
  readonly #patience: Patience;

  /** `plainHosts` may be asked over plain HTTP: each as URLs have it, with its port. */
  constructor(plainHosts: Iterable<string> = [], patience: Patience = PATIENCE) {
    this.#plain = new Set(plainHosts);
    this.#patience = patience;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * Begins to download a file at one of its bytes; `size` is its length, where that is known, and what ends earlier is asked
   * for the rest. Throws HttpError or KubestickError, in which the file is called `what`.
   */
  async file(get: Get, what: string, { from = 0, size }: { from?: number; size?: number } = {}): Promise<Download> {
    const range = from > 0 ? { range: `bytes=${from}-` } : undefined;
    const watch = this.#watch(get.url, size);
    const asked = { ...get, headers: { ...get.headers, ...range } };
    const { statusCode, headers, body } = await this.#ask(asked, what, watch).catch((error: unknown) => {
      throw range && error instanceof HttpError && OTHER_FILE.includes(error.status)
        ? new CannotResumeError(what)
        : error;
    });
    const chunks = async function* () {
      try {
        for await (const chunk of body) yield chunk as Buffer;
      } catch (error) {
        throw explain(error, what, watch.url);
      }
    };
    return { from: statusCode === 206 ? (rangeStart(headers) ?? 0) : 0, chunks: chunks() };
  }

  /** The whole of a small answer. Throws KubestickError when it is larger than `limit` bytes. */
  async bytes(get: Get, limit: number): Promise<{ data: Buffer; headers: Headers }> {
    const signal = AbortSignal.timeout(SMALL_ANSWER_MS);
    return this.startOver(async () => {
      const watch = this.#watch(get.url);
      const { body, headers } = await this.#ask(get, get.url, watch, signal);
      try {
        return { data: await readBody(body, limit), headers };
      } catch (error) {
        if (!(error instanceof BodyLimitError)) throw explain(error, get.url, watch.url);
        throw new KubestickError(`${get.url} answers with more than the ${limit} bytes that it may`, {
          code: "download",
          hint: "is that the registry or download site? check the name, and --registry-mirror",
        });
      }
    });
  }

  /** Does a download from its beginning again where it broke off and its server cannot go on. */
  async startOver<T>(attempt: () => Promise<T>): Promise<T> {
    const { attempts, pauseMs } = this.#patience;
    let tries = 0;
    return untilItWorks(attempt, {
      limitMs: Number.POSITIVE_INFINITY,
      pauseMs,
      longestPauseMs: Number.POSITIVE_INFINITY,
      passes: (error) => error instanceof CannotResumeError && ++tries < attempts,
    });
  }

  /** How long a file is in bytes, where its server tells at once; undefined where it does not. Nothing is tried again. */
  async length(url: string): Promise<number | undefined> {
    try {
      const dispatcher = this.#agent.compose(watching(this.#watch(url)), redirecting);
      const { headers, body, statusCode } = await this.#send({ url, headers: { range: "bytes=0-0" } }, dispatcher);
      await dump(body);
      if (statusCode !== 200 && statusCode !== 206) return undefined;
      const told =
        statusCode === 206 ? /\/(\d+)$/.exec(String(headers["content-range"]))?.[1] : headers["content-length"];
      return told === undefined ? undefined : Number(told);
    } catch {
      return undefined;
    }
  }

  /** Sends a GET until it is answered with status 200 or 206. Throws KubestickError. */
  async #ask(get: Get, what: string, watch: Watch, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const retrying = interceptors.retry({ statusCodes: PASSING_STATUSES, retry: tryingAgain(watch, this.#patience) });
    try {
      const response = await this.#send(get, this.#agent.compose(watching(watch), redirecting, retrying), signal);
      if (response.statusCode === 200 || response.statusCode === 206) return response;
      await dump(response.body);
      throw new HttpError(watch.url, response.statusCode, response.headers);
    } catch (error) {
      throw explain(error, what, watch.url);
    }
  }

  #send(get: Get, dispatcher: Dispatcher, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { origin, pathname, search } = this.#allowed(get.url);
    return dispatcher.request({
      origin,
      path: `${pathname}${search}`,
      method: "GET",
      headers: { "user-agent": USER_AGENT, ...get.headers },
      headersTimeout: 30_000,
      bodyTimeout: 60_000,
      signal,
    });
  }

  #watch(url: string, size?: number): Watch {
    return new Watch(url, (location, from) => this.#allowed(location, from), this.#patience.trickle, size);
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

const redirecting = interceptors.redirect({ maxRedirections: MAX_REDIRECTS, throwOnMaxRedirect: true });

/** When to try again, and after which pause; a try that got further starts the count again. */
function tryingAgain(watch: Watch, { attempts, pauseMs, trickle }: Patience) {
  let [tries, before] = [1, 0];
  return (error: Error, _context: unknown, done: (error?: Error | null) => void) => {
    if (watch.bytes - before >= trickle.bytes) tries = 1;
    before = watch.bytes;
    if (isFinal(error) || tries >= attempts) return done(error);
    // undici ends a pause early, by this timer, when nobody wants the answer any more.
    return setTimeout(done, Math.max(pauseAfter(tries++, pauseMs), askedPause(error)), null);
  };
}

/** A pause in milliseconds that doubles with each try, with jitter: thirty boards should not all come back at once. */
const pauseAfter = (tries: number, firstMs: number) => firstMs * 2 ** (tries - 1) * (0.5 + Math.random());

/** The pause that a refusal asks for in seconds, as milliseconds; 0 where it asks for none. */
function askedPause(error: Error): number {
  const seconds = Number((error as { headers?: Headers }).headers?.["retry-after"]);
  return seconds > 0 ? Math.min(seconds * 1000, LONGEST_PAUSE_MS) : 0;
}

/** Reads what is left of a short answer, so that its connection can be used again, or ends that. */
async function dump(body: Dispatcher.ResponseData["body"]): Promise<void> {
  body.on("error", () => undefined);
  await body.dump({ limit: DUMPED_BYTES, signal: AbortSignal.timeout(DUMP_MS) }).catch(() => undefined);
}
