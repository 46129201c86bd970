import { Pauses, PROCESS_CLOCK } from "../util/until.ts";
import { failureOf, objectOf } from "./answer.ts";
import type { ApiClient } from "./client.ts";
import { AnswerError, ApiError } from "./errors.ts";
import { isNamed, mapOf, textOf } from "./fields.ts";
import { collectionPath, type KubeObject } from "./resources.ts";
import { isTransient } from "./retry.ts";

/** A change that a watch saw; or, as SYNCED, everything there is, in no order that means anything. */
export type WatchEvent<T = KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: T }
  | { type: "SYNCED"; items: T[] };

/** More than any object that etcd keeps. */
const MAX_LINE = 4 * 1024 * 1024;
const SILENCE_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
/** What the API server sends: `SYNCED` is this module's own. */
const TYPES = new Set(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]);

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
  const pauses = new Pauses(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  while (!options.signal.aborted) {
    let seen = 0;
    try {
      if (version === "") {
        const { items, resourceVersion } = await client.list<T>(apiVersion, kind, options);
        version = resourceVersion;
        yield { type: "SYNCED", items };
      }
      for await (const { type, object } of stream(client, apiVersion, kind, version, options)) {
        seen++;
        if (type === "ERROR")
          throw new ApiError(`watch ${kind}s`, Number(object["code"]) || 500, textOf(object["message"]));
        version = textOf(mapOf(object["metadata"])?.["resourceVersion"]) || version;
        if (type !== "BOOKMARK") yield { type, object: object as unknown as T } as WatchEvent<T>;
      }
    } catch (error) {
      if (options.signal.aborted) return;
      if (error instanceof ApiError && error.status === 410) version = "";
      else if (!isTransient(error)) throw error;
    }
    // A stream that ends without a word is not asked for again at once, or a server in trouble had no rest.
    if (seen > 0) pauses.restart();
    await PROCESS_CLOCK.sleep(pauses.next(), options.signal).catch(() => undefined);
  }
}

async function* stream(
  client: ApiClient,
  apiVersion: string,
  kind: string,
  resourceVersion: string,
  options: { namespace?: string; query?: Record<string, string>; signal: AbortSignal },
): AsyncGenerator<{ type: string; object: Record<string, unknown> }> {
  const query = { ...options.query, watch: "true", allowWatchBookmarks: "true", resourceVersion };
  const what = `watch ${kind}s`;
  const response = await client.send("GET", collectionPath(apiVersion, kind, options.namespace), {
    query,
    what,
    signal: options.signal,
    timeoutMs: SILENCE_MS,
  });
  let pending = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body) {
      pending += decoder.decode(chunk as Buffer, { stream: true });
      const lines = pending.split("\n");
      pending = lines.pop()!;
      if (pending.length > MAX_LINE) throw new AnswerError(what, client.server, "one of its events is too large");
      for (const line of lines) if (line.trim() !== "") yield eventOf(line, what, client.server);
    }
  } catch (error) {
    response.body.destroy();
    throw failureOf(what, client.server, error);
  }
}

function eventOf(line: string, what: string, server: string) {
  const event = objectOf({ data: Buffer.from(line), type: "" }, what, server);
  const [type, object] = [textOf(event["type"]), mapOf(event["object"])];
  const whole = object && TYPES.has(type) && (type === "ERROR" || type === "BOOKMARK" || isNamed(object));
  if (!whole) throw new AnswerError(what, server, "one of its events is no object of the API");
  return { type, object };
}
