import type { Dispatcher } from "undici/index.js";
import { API_CALL_TIMEOUT } from "../constants/durations.ts";
import { FIELD_MANAGER, USER_AGENT } from "../constants/names.ts";
import { within } from "../host/within.ts";
import type { Connection } from "../kubeconfig/kubeconfig.ts";
import { readBody } from "../net/body.ts";
import { Agent } from "../net/undici.ts";
import { PROCESS_CLOCK } from "../util/until.ts";
import { type Answer, failureOf, objectOf, refusalOf } from "./answer.ts";
import { AnswerError, ApiError } from "./errors.ts";
import { isNamed, pageOf } from "./fields.ts";
import { pathOf } from "./kinds.ts";
import { collectionPath, describeObject, type KubeObject, objectPath } from "./resources.ts";
import { isRefusal, retry } from "./retry.ts";
import { clusterConnector } from "./tls.ts";

/** The largest object that etcd keeps is 1.5 MiB. */
const MAX_OBJECT = 4 * 1024 * 1024;
/** Objects of a page; where they are too large together, the next try is for a fifth. */
const PAGE = 50;
const MAX_ITEMS = 20_000;
const MAX_TEXT = 64 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;

/** How one request is made. */
export interface RequestOptions {
  body?: unknown;
  contentType?: string;
  query?: Record<string, string>;
  timeoutMs?: number;
  /** What is being done, for error messages. */
  what?: string;
  signal?: AbortSignal;
}

/**
 * A client of one API server: TLS with the cluster's CA and nothing else, client certificate or token. Requests throw
 * ApiError, AnswerError or ConnectError. Those through `apply`, `get` and the like are retried while the error is
 * transient, until `callTimeoutMs` has passed, and a refusal (401, 403) while `refusalsPassMs` have not: for whoever
 * knows why the server may not know these credentials or their rights yet.
 */
export class ApiClient {
  readonly server: string;
  readonly #agent: Agent;
  readonly #token: string | undefined;
  readonly #callTimeoutMs: number;
  readonly #refusalsPassMs: number;

  constructor(connection: Connection, options: { callTimeoutMs?: number; refusalsPassMs?: number } = {}) {
    this.server = connection.server.replace(/\/+$/, "");
    if (!this.server.startsWith("https://")) throw new RangeError("an API server is only ever asked over https");
    this.#token = connection.token;
    this.#callTimeoutMs = options.callTimeoutMs ?? API_CALL_TIMEOUT;
    this.#refusalsPassMs = options.refusalsPassMs ?? 0;
    this.#agent = new Agent({
      connections: 8,
      // Over HTTP/2 every retry would go to the one connection that just fell silent; over HTTP/1.1 a time-out ends it.
      allowH2: false,
      connect: clusterConnector({
        ca: connection.ca,
        certificate: connection.clientCertificate,
        key: connection.clientKey,
        serverName: connection.tlsServerName,
        timeoutMs: CONNECT_TIMEOUT_MS,
      }),
    });
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * Opens a stream: sends a request once, and gives its answer, which ends when the server has been silent for
   * `timeoutMs`. Throws on any answer that is not 2xx.
   */
  async send(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions = {},
  ): Promise<Dispatcher.ResponseData> {
    const query = options.query ? `?${new URLSearchParams(options.query)}` : "";
    const what = options.what ?? `${method} ${path}`;
    const headers: Record<string, string> = { accept: "application/json", "user-agent": USER_AGENT };
    if (this.#token) headers["authorization"] = `Bearer ${this.#token}`;
    if (options.body !== undefined) headers["content-type"] = options.contentType ?? "application/json";
    const timeout = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    let response: Dispatcher.ResponseData;
    try {
      const { origin, pathname, search } = new URL(`${this.server}${path}${query}`);
      response = await this.#agent.request({
        origin,
        path: `${pathname}${search}`,
        method,
        headers,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        signal: options.signal,
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
    } catch (error) {
      throw failureOf(what, this.server, error);
    }
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    throw await refusalOf(what, response);
  }

  /** One request's whole answer, once, within `timeoutMs` from end to end. */
  async #ask(method: Dispatcher.HttpMethod, path: string, limit: number, options: RequestOptions): Promise<Answer> {
    const what = options.what ?? `${method} ${path}`;
    try {
      return await within(
        options.timeoutMs ?? REQUEST_TIMEOUT_MS,
        async (signal) => {
          const response = await this.send(method, path, { ...options, what, signal });
          return { data: await readBody(response.body, limit), type: String(response.headers["content-type"] ?? "") };
        },
        options.signal,
      );
    } catch (error) {
      throw failureOf(what, this.server, error);
    }
  }

  /** Sends one request, retried while the error is transient, and gives the answer's JSON object. */
  async call<T = KubeObject>(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions & { limit?: number } = {},
  ): Promise<T> {
    let attempts = 0;
    return retry(
      async (remaining) => {
        // A connection that fell silent is given up soon; a server whose etcd has a slow card gets more time after that.
        const patience = REQUEST_TIMEOUT_MS * Math.min(++attempts, 3);
        const timeoutMs = Math.min(options.timeoutMs ?? patience, remaining);
        const answer = await this.#ask(method, path, options.limit ?? MAX_OBJECT, { ...options, timeoutMs });
        return objectOf(answer, options.what ?? `${method} ${path}`, this.server) as T;
      },
      {
        limitMs: this.#callTimeoutMs,
        refusalsPassMs: this.#refusalsPassMs,
        signal: options.signal,
      },
    );
  }

  /**
   * As `call`, for what this client perhaps may not do: undefined when there is nothing there, or it still may not once
   * `refusalsPassMs` have passed.
   */
  async callIfAllowed<T = KubeObject>(
    method: Dispatcher.HttpMethod,
    path: string,
    refusalsPassMs = 0,
  ): Promise<T | undefined> {
    const what = `${method} ${path}`;
    const refusalsUntil = PROCESS_CLOCK.now() + refusalsPassMs;
    return retry(
      async (remaining) => {
        try {
          const timeoutMs = Math.min(REQUEST_TIMEOUT_MS, remaining);
          return objectOf(await this.#ask(method, path, MAX_OBJECT, { timeoutMs }), what, this.server) as T;
        } catch (error) {
          const final = isRefusal(error)
            ? PROCESS_CLOCK.now() >= refusalsUntil
            : (error as { status?: unknown }).status === 404;
          if (error instanceof ApiError && final) return undefined;
          throw error;
        }
      },
      { limitMs: this.#callTimeoutMs, refusalsPassMs: Number.POSITIVE_INFINITY },
    );
  }

  /** As `call`, for an answer that is an object of the API: it has a name. */
  async #object(method: Dispatcher.HttpMethod, path: string, options: RequestOptions & { what: string }) {
    const object = await this.call(method, path, options);
    if (isNamed(object)) return object;
    throw new AnswerError(options.what, this.server, "what it sends is no object of the API");
  }

  /** One object, or undefined where there is none. */
  async get<T = KubeObject>(
    apiVersion: string,
    kind: string,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    try {
      return (await this.#object("GET", objectPath(apiVersion, kind, name, namespace), {
        what: `read ${kind} ${name}`,
      })) as T;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Server-side apply (KEP-555) as the owner of what the object says; `force` takes fields over from other managers.
   */
  async apply(object: KubeObject, force = true): Promise<KubeObject> {
    return this.#object("PATCH", await pathOf(this, object), {
      body: object,
      contentType: "application/apply-patch+yaml",
      query: { fieldManager: FIELD_MANAGER, force: String(force) },
      what: `apply ${describeObject(object)}`,
    });
  }

  /** Creates an object unless it is there already; what is there is kept. */
  async createIfAbsent(object: KubeObject): Promise<KubeObject> {
    const { name, namespace } = object.metadata;
    try {
      return await this.#object("POST", collectionPath(object.apiVersion, object.kind, namespace), {
        body: object,
        query: { fieldManager: FIELD_MANAGER },
        what: `create ${describeObject(object)}`,
      });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      const existing = await this.get(object.apiVersion, object.kind, name, namespace);
      if (!existing) throw error;
      return existing;
    }
  }

  /** JSON merge patch (RFC 7386) of an object. */
  async mergePatch(object: Pick<KubeObject, "apiVersion" | "kind" | "metadata">, patch: object): Promise<KubeObject> {
    const { name, namespace } = object.metadata;
    return this.#object("PATCH", objectPath(object.apiVersion, object.kind, name, namespace), {
      body: patch,
      contentType: "application/merge-patch+json",
      query: { fieldManager: FIELD_MANAGER },
      what: `change ${describeObject(object as KubeObject)}`,
    });
  }

  /** Removes an object. Returns false when there was none. */
  async delete(apiVersion: string, kind: string, name: string, namespace?: string): Promise<boolean> {
    try {
      await this.call("DELETE", objectPath(apiVersion, kind, name, namespace), { what: `delete ${kind} ${name}` });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Every object of a kind, read in pages; each has a name. `resourceVersion` is where a watch can begin. */
  async list<T = KubeObject>(
    apiVersion: string,
    kind: string,
    options: { namespace?: string; query?: Record<string, string> } = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const path = collectionPath(apiVersion, kind, options.namespace);
    const what = `list ${kind}s`;
    const items: T[] = [];
    let next = "";
    let resourceVersion = "";
    for (let limit = PAGE; ; ) {
      const query = { limit: String(limit), ...options.query, ...(next ? { continue: next } : {}) };
      let answer: unknown;
      try {
        answer = await this.call<unknown>("GET", path, { query, what });
      } catch (error) {
        if (!(error instanceof AnswerError && error.tooLarge) || limit === 1) throw error;
        limit = Math.ceil(limit / 5);
        continue;
      }
      const page = pageOf(answer);
      if (!page) throw new AnswerError(what, this.server, "what it sends is no list of objects");
      items.push(...(page.items as T[]));
      resourceVersion = page.resourceVersion || resourceVersion;
      if (page.next === "") return { items, resourceVersion };
      // One that goes round in circles would fill the memory.
      if (items.length > MAX_ITEMS || page.next === next)
        throw new AnswerError(what, this.server, "its list does not end");
      next = page.next;
    }
  }

  /** The plain text of a path such as /livez, asked once. */
  async text(
    path: string,
    options: { timeoutMs?: number; limit?: number; signal?: AbortSignal } = {},
  ): Promise<string> {
    const answer = await this.#ask("GET", path, options.limit ?? MAX_TEXT, { timeoutMs: 5_000, ...options });
    return answer.data.toString("utf8");
  }
}
