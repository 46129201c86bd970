import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "./client.ts";
import { ApiError, ConnectError } from "./errors.ts";
import { collectionPath, type KubeObject } from "./resources.ts";
import { isTransient } from "./retry.ts";

/** A change that a watch saw; or, as SYNCED, everything there is, in no order that means anything. */
export type WatchEvent<T = KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: T }
  | { type: "SYNCED"; items: T[] };

const MAX_LINE = 16 * 1024 * 1024;

/**
 * Follows a kind: first everything there is, then every change in order. A connection that ends is resumed from the last
 * seen version, bookmarks included; a version that is too old (410) begins again with everything. Ends when the signal
 * aborts; throws on an error that waiting does not mend.
 */
export async function* watch<T extends KubeObject = KubeObject>(
  client: ApiClient,
  apiVersion: string,
  kind: string,
  options: { namespace?: string; query?: Record<string, string>; signal: AbortSignal },
): AsyncGenerator<WatchEvent<T>> {
  let version = "";
  let pause = 200;
  while (!options.signal.aborted) {
    try {
      if (version === "") {
        const { items, resourceVersion } = await client.list<T>(apiVersion, kind, options);
        version = resourceVersion;
        yield { type: "SYNCED", items };
      }
      for await (const event of stream<T>(client, apiVersion, kind, version, options)) {
        pause = 200;
        const seen = (event.object.metadata as { resourceVersion?: string } | undefined)?.resourceVersion;
        if (event.type === ("ERROR" as string)) {
          const code = Number((event.object as unknown as { code?: number }).code);
          throw new ApiError(`watch ${kind}s`, code, String((event.object as { message?: unknown }).message ?? ""));
        }
        if (seen) version = seen;
        if (event.type !== ("BOOKMARK" as string)) yield event;
      }
    } catch (error) {
      if (options.signal.aborted) return;
      if (error instanceof ApiError && error.status === 410) version = "";
      else if (!isTransient(error)) throw error;
      await sleep(pause * (0.5 + Math.random()), undefined, { signal: options.signal }).catch(() => undefined);
      pause = Math.min(pause * 2, 30_000);
    }
  }
}

async function* stream<T extends KubeObject>(
  client: ApiClient,
  apiVersion: string,
  kind: string,
  resourceVersion: string,
  options: { namespace?: string; query?: Record<string, string>; signal: AbortSignal },
): AsyncGenerator<Extract<WatchEvent<T>, { object: T }>> {
  const query = { ...options.query, watch: "true", allowWatchBookmarks: "true", resourceVersion };
  const what = `watch ${kind}s`;
  const response = await client.send("GET", collectionPath(apiVersion, kind, options.namespace), {
    query,
    what,
    signal: options.signal,
    timeoutMs: 10 * 60_000,
  });
  let pending = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body) {
      pending += decoder.decode(chunk as Buffer, { stream: true });
      if (pending.length > MAX_LINE) throw new RangeError("an event is too large");
      const lines = pending.split("\n");
      pending = lines.pop()!;
      for (const line of lines) if (line !== "") yield JSON.parse(line) as { type: "ADDED"; object: T };
    }
  } catch (error) {
    throw new ConnectError(what, client.server, error);
  }
}
