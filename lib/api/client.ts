import { Agent, type Dispatcher, request } from "undici/index.js";
import { API_CALL_TIMEOUT } from "../constants/durations.ts";
import { FIELD_MANAGER, USER_AGENT } from "../constants/names.ts";
import type { Connection } from "../kubeconfig/kubeconfig.ts";
import { ApiError, ConnectError } from "./errors.ts";
import { collectionPath, describeObject, type KubeObject, objectPath } from "./resources.ts";
import { retry } from "./retry.ts";

const MAX_BODY = 64 * 1024 * 1024;
const PAGE = 500;

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
 * ApiError or ConnectError. Those through `apply`, `get` and the like are retried while the error is transient, until
 * `callTimeoutMs` has passed.
 */
export class ApiClient {
  readonly server: string;
  readonly #agent: Agent;
  readonly #token: string | undefined;
  readonly #callTimeoutMs: number;
  /** Whether what is forbidden is asked for again; see RetryOptions. */
  readonly rightsMayCome: boolean;

  constructor(connection: Connection, options: { callTimeoutMs?: number; rightsMayCome?: boolean } = {}) {
    this.server = connection.server.replace(/\/+$/, "");
    this.#token = connection.token;
    this.#callTimeoutMs = options.callTimeoutMs ?? API_CALL_TIMEOUT;
    this.rightsMayCome = options.rightsMayCome ?? false;
    this.#agent = new Agent({
      connections: 8,
      // Over HTTP/2 every retry would go to the one connection that just fell silent; over HTTP/1.1 a time-out ends it.
      allowH2: false,
      connect: {
        ca: connection.ca,
        cert: connection.clientCertificate,
        key: connection.clientKey,
        rejectUnauthorized: true,
        timeout: 5_000,
        ...(connection.tlsServerName ? { servername: connection.tlsServerName } : {}),
      },
    });
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Sends one request, once, and gives the answer's stream. Throws on any answer that is not 2xx. */
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
    const timeout = options.timeoutMs ?? 10_000;
    let response: Dispatcher.ResponseData;
    try {
      response = await request(`${this.server}${path}${query}`, {
        method,
        headers,
        dispatcher: this.#agent,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        signal: options.signal,
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
    } catch (error) {
      throw new ConnectError(what, this.server, error);
    }
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    throw await refusal(what, response);
  }

  /** Sends one request, retried while the error is transient, and gives the answer's JSON. */
  async call<T = KubeObject>(method: Dispatcher.HttpMethod, path: string, options: RequestOptions = {}): Promise<T> {
    const what = options.what ?? `${method} ${path}`;
    const deadline = Date.now() + this.#callTimeoutMs;
    return retry(
      async (remaining) => {
        const response = await this.send(method, path, {
          ...options,
          timeoutMs: Math.min(options.timeoutMs ?? 10_000, remaining),
        });
        try {
          return JSON.parse(await readBody(response)) as T;
        } catch (error) {
          throw new ConnectError(what, this.server, error);
        }
      },
      { deadline, rightsMayCome: this.rightsMayCome, signal: options.signal },
    );
  }

  /** As `call`, for what this client perhaps may not do: undefined at once when it may not, or there is nothing there. */
  async callIfAllowed<T = KubeObject>(method: Dispatcher.HttpMethod, path: string): Promise<T | undefined> {
    return retry(
      async (remaining) => {
        try {
          const response = await this.send(method, path, { timeoutMs: Math.min(10_000, remaining) });
          return JSON.parse(await readBody(response)) as T;
        } catch (error) {
          if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return undefined;
          throw error;
        }
      },
      { deadline: Date.now() + this.#callTimeoutMs },
    );
  }

  /** One object, or undefined where there is none. */
  async get<T = KubeObject>(
    apiVersion: string,
    kind: string,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    try {
      return await this.call<T>("GET", objectPath(apiVersion, kind, name, namespace), { what: `read ${kind} ${name}` });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Server-side apply (KEP-555) as the owner of what the object says; `force` takes fields over from other managers.
   */
  async apply(object: KubeObject, force = true): Promise<KubeObject> {
    const { name, namespace } = object.metadata;
    return this.call("PATCH", objectPath(object.apiVersion, object.kind, name, namespace), {
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
      return await this.call("POST", collectionPath(object.apiVersion, object.kind, namespace), {
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
    return this.call("PATCH", objectPath(object.apiVersion, object.kind, name, namespace), {
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

  /** Every object of a kind, read in pages. `resourceVersion` is where a watch can begin. */
  async list<T = KubeObject>(
    apiVersion: string,
    kind: string,
    options: { namespace?: string; query?: Record<string, string> } = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const path = collectionPath(apiVersion, kind, options.namespace);
    const items: T[] = [];
    let next = "";
    let resourceVersion = "";
    do {
      const query = { limit: String(PAGE), ...options.query, ...(next ? { continue: next } : {}) };
      const page = await this.call<{ items?: T[]; metadata?: { continue?: string; resourceVersion?: string } }>(
        "GET",
        path,
        {
          query,
          what: `list ${kind}s`,
        },
      );
      items.push(...(page.items ?? []));
      next = page.metadata?.continue ?? "";
      resourceVersion = page.metadata?.resourceVersion ?? resourceVersion;
    } while (next !== "");
    return { items, resourceVersion };
  }

  /** The plain text of a path such as /livez, asked once. */
  async text(path: string, timeoutMs = 5_000): Promise<string> {
    return readBody(await this.send("GET", path, { timeoutMs }));
  }
}

async function readBody(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY) {
      response.body.destroy();
      throw new RangeError(`the answer is larger than ${MAX_BODY} bytes`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function refusal(what: string, response: Dispatcher.ResponseData): Promise<ApiError> {
  const text = await readBody(response).catch(() => "");
  let message = text.trim().slice(0, 300);
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? message);
  } catch {
    // Not a Status object; a proxy in between answers in words of its own.
  }
  const seconds = Number(response.headers["retry-after"]);
  return new ApiError(what, response.statusCode, message, seconds > 0 ? seconds * 1000 : undefined);
}
