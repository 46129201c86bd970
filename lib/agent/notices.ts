import { createHash } from "node:crypto";
import type { ApiClient } from "../api/client.ts";
import { ApiError } from "../api/errors.ts";
import { collectionPath } from "../api/resources.ts";
import { FIELD_MANAGER } from "../constants/names.ts";
import { AGENT_SERVICE, EVENT_TTL_MS } from "../constants/network.ts";
import { reason } from "../errors.ts";

/** The Node that something is said about. */
export interface NodeReference {
  name: string;
  uid: string;
}

/** Whoever makes us say things, a Node that changes every second, must not fill the cluster's store and this node's log. */
const GAP_MS = 60_000;
const MOST_PER_GAP = 20;
/** An Event that is written again too early is there still, and gets no longer life. */
const AGAIN_MS = EVENT_TTL_MS + GAP_MS;
/** The API server's limit of an Event's message (core validation: events.go). */
const MAX_MESSAGE = 1024;

/**
 * The Event (v1) of kind Warning that an agent writes about a Node. Its name is made of what it says, so that all
 * agents that see the same write one. Events of Nodes live in the namespace default, as the kubelet's do.
 */
export function nodeEvent(node: NodeReference, why: string, message: string, agentOn: string, now: Date) {
  const hash = createHash("sha256").update(`${node.uid} ${why} ${message}`).digest("hex").slice(0, 16);
  const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 3)}...` : message;
  const at = now.toISOString().replace(/\.\d+/, "");
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${node.name.slice(0, 200)}.${hash}`, namespace: "default" },
    involvedObject: { apiVersion: "v1", kind: "Node", name: node.name, uid: node.uid },
    type: "Warning",
    reason: why,
    message: text,
    source: { component: AGENT_SERVICE, host: agentOn },
    reportingComponent: AGENT_SERVICE,
    reportingInstance: agentOn,
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
  };
}

/** Says what an agent found, once: a line in its log, and an Event that `kubectl get events` shows for as long as it holds. */
export class Notices {
  readonly #client: Pick<ApiClient, "call">;
  readonly #log: (text: string) => void;
  readonly #agentOn: string;
  /** What was said last of a Node, and when. */
  readonly #said = new Map<string, { message: string; at: number }>();
  #recent: number[] = [];
  #failure = "";

  constructor(client: Pick<ApiClient, "call">, agentOn: string, log: (text: string) => void) {
    this.#client = client;
    this.#agentOn = agentOn;
    this.#log = log;
  }

  /** `why` is the Event's reason, one CamelCase word. What was said is said again once the Event has expired. */
  say(node: NodeReference, why: string, message: string, now = Date.now()): void {
    const key = `${why} ${node.name} ${node.uid}`;
    const last = this.#said.get(key);
    const same = last?.message === message;
    if (last && now - last.at < (same ? AGAIN_MS : GAP_MS)) return;
    this.#recent = this.#recent.filter((at) => now - at < GAP_MS);
    if (this.#recent.length >= MOST_PER_GAP) return;
    this.#recent.push(now);
    for (const [old, { at }] of this.#said) if (now - at > AGAIN_MS) this.#said.delete(old);
    this.#said.set(key, { message, at: now });
    if (!same) this.#log(`node ${node.name}: ${message}`);
    void this.#write(nodeEvent(node, why, message, this.#agentOn, new Date(now)));
  }

  async #write(event: ReturnType<typeof nodeEvent>): Promise<void> {
    try {
      await this.#client.call("POST", collectionPath("v1", "Event", event.metadata.namespace), {
        body: event,
        query: { fieldManager: FIELD_MANAGER },
        what: `write an Event about node ${event.involvedObject.name}`,
      });
    } catch (error) {
      // Another agent has written it. A kubelet's credentials allow to write Events, not to read them.
      if (error instanceof ApiError && error.status === 409) return;
      if (reason(error) !== this.#failure) this.#log(reason(error));
      this.#failure = reason(error);
    }
  }
}
