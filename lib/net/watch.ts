import type { Dispatcher } from "undici/index.js";
import { HttpError } from "./failures.ts";

/** What is read of an answer that nobody wants: a redirect's text, an error's. */
const MOST_UNWANTED_BYTES = 64 * 1024;

/** How little a server may send: less than so many bytes in so much time is as good as nothing. */
export interface Trickle {
  ms: number;
  bytes: number;
}

/** What is known of a download while it goes on, through all of its tries. */
export class Watch {
  /** The address that was asked last. */
  url: string;
  /** Bytes of the file that have come, of all answers together. */
  bytes = 0;

  constructor(
    url: string,
    /** Checks an address that an answer redirects to. Throws what the download is to end with. */
    readonly allow: (location: string, from: URL) => unknown,
    readonly trickle: Trickle,
    /** The length of the file in bytes, where it is known. */
    readonly size: number | undefined,
  ) {
    this.url = url;
  }
}

type Handler = Dispatcher.DispatchHandler;
type Controller = Dispatcher.DispatchController;
type Headers = Parameters<NonNullable<Handler["onResponseStart"]>>[2];

/**
 * An interceptor of undici's that ends, with an error, what undici itself would put up with: a redirect to where one may not
 * go, an answer that nobody wants and that does not end, a server that trickles, and a file that ends too early although its
 * answer is well-formed. Interceptors outside of this one take these as failures of the connection.
 */
export function watching(watch: Watch): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const url = new URL(options.path, String(options.origin));
    watch.url = url.href;
    // A copy, because undici's agent for proxies changes them.
    return dispatch({ ...options }, new WatchedAnswer(watch, url, handler));
  };
}

class WatchedAnswer implements Handler {
  readonly #watch: Watch;
  readonly #url: URL;
  readonly #handler: Handler;
  #status = 0;
  #headers: Headers = {};
  /** Bytes of this answer. */
  #bytes = 0;
  /** Where in the file it begins. */
  #start: number | undefined;
  /** When it was last seen how much had come, and how much. */
  #mark = { time: 0, bytes: 0 };

  constructor(watch: Watch, url: URL, handler: Handler) {
    this.#watch = watch;
    this.#url = url;
    this.#handler = handler;
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStart(controller: Controller, status: number, headers: Headers, message?: string): void {
    if (status >= 200) {
      this.#status = status;
      this.#headers = headers;
      this.#start = status === 206 ? rangeStart(headers) : status === 200 ? 0 : undefined;
      this.#mark = { time: performance.now(), bytes: 0 };
      const { location } = headers;
      if (status >= 300 && status < 400 && typeof location === "string") this.#watch.allow(location, this.#url);
    }
    this.#handler.onResponseStart?.(controller, status, headers, message);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#status < 300) this.#watch.bytes += chunk.length;
    else if (this.#bytes > MOST_UNWANTED_BYTES) throw new HttpError(this.#url.href, this.#status, this.#headers);
    const { ms, bytes } = this.#watch.trickle;
    const now = performance.now();
    if (now - this.#mark.time > ms) {
      if (this.#bytes - this.#mark.bytes < bytes)
        throw new Error(`it sends less than ${bytes} bytes in ${ms / 1000} s`);
      this.#mark = { time: now, bytes: this.#bytes };
    }
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Controller, trailers: Headers): void {
    const { size } = this.#watch;
    const end = this.#start === undefined ? undefined : this.#start + this.#bytes;
    if (size !== undefined && end !== undefined && end < size)
      throw new Error(`the answer ended after ${end} of ${size} bytes`);
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Controller, error: Error): void {
    this.#handler.onResponseError?.(controller, error);
  }
}

/** Where in its file the answer to a question for a range begins (RFC 9110 §14.4), in bytes; undefined where it does not say. */
export function rangeStart(headers: Headers): number | undefined {
  const start = /^bytes (\d+)-/.exec(String(headers["content-range"]))?.[1];
  return start === undefined ? undefined : Number(start);
}
