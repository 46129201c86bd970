import { Agent, request } from "undici/index.js";
import { mapOf, mapsOf, textOf } from "../api/fields.ts";
import { jsonExcess } from "../api/shape.ts";
import { clusterConnector } from "../api/tls.ts";
import { KubestickError, reason } from "../errors.ts";
import { readBody } from "../net/body.ts";
import { within } from "../util/within.ts";

/** A member of an etcd cluster (etcd v3 API, rpc.proto Member). */
export interface EtcdMember {
  /** A 64-bit number in decimal, as the gateway writes it. */
  id: string;
  /** Empty until the member has started. */
  name: string;
  peerUrls: string[];
  clientUrls: string[];
  learner: boolean;
}

/** An error that etcd itself answered with. */
export class EtcdError extends KubestickError {
  override name = "EtcdError";

  constructor(message: string) {
    super(message, { code: "etcd" });
  }
}

const TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** The answer to each question is a list of members at most. */
const MAX_BYTES = 1024 * 1024;

/**
 * The membership of an etcd cluster, through the JSON gateway of its v3 API
 * (https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/), over mutual TLS. Each call asks the endpoints in turn until
 * one answers. Throws EtcdError for etcd's own refusals, KubestickError when no endpoint answers.
 */
export class EtcdClient {
  readonly #tls: { ca: string; certificate: string; key: string };
  #agent: Agent | undefined;
  readonly #endpoints: string[];

  constructor(endpoints: string[], tls: { ca: string; certificate: string; key: string }) {
    this.#endpoints = endpoints;
    this.#tls = tls;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  /** Made when it is needed: on a half-made node there is perhaps no CA yet, and that is one more reason for no answer. */
  #dispatcher(): Agent {
    this.#agent ??= new Agent({
      allowH2: false,
      connect: clusterConnector({ ...this.#tls, timeoutMs: CONNECT_TIMEOUT_MS }),
    });
    return this.#agent;
  }

  /** Every member, learners too. Asks for a linearizable answer, so that a member just removed is not shown. */
  async list(): Promise<EtcdMember[]> {
    const { members } = await this.#call("cluster/member/list", { linearizable: true });
    return mapsOf(members).map(toMember);
  }

  /** Adds a member as a learner, which has no vote until it is promoted. */
  async addLearner(peerUrl: string): Promise<void> {
    await this.#call("cluster/member/add", { peerURLs: [peerUrl], isLearner: true });
  }

  /** Gives a learner its vote. Throws EtcdError while it has not caught up. */
  async promote(id: string): Promise<void> {
    await this.#call("cluster/member/promote", { ID: id });
  }

  /** Takes a member out. */
  async remove(id: string): Promise<void> {
    await this.#call("cluster/member/remove", { ID: id });
  }

  async #call(path: string, body: object): Promise<Record<string, unknown>> {
    const failures: string[] = [];
    for (const endpoint of this.#endpoints) {
      let status: number;
      let text: string;
      try {
        ({ status, text } = await this.#ask(`${endpoint}/v3/${path}`, body));
      } catch (error) {
        failures.push(`${endpoint}: ${reason(error)}`);
        continue;
      }
      const answer = parsed(text);
      if (status === 200 && answer) return answer;
      const said = textOf(answer?.["message"]) || textOf(answer?.["error"]) || text.slice(0, 300);
      // A member without a leader, or one that is just stopping, says nothing about the cluster; the next one may.
      const passing = status >= 500 && status !== 501 && /no leader|stopped|timed out|unavailable/i.test(said);
      if (passing || !answer) {
        failures.push(`${endpoint}: ${answer ? said : `it does not answer as etcd does (status ${status})`}`);
        continue;
      }
      throw new EtcdError(`etcd refuses ${path.replace("cluster/", "")}: ${said}`);
    }
    throw new KubestickError(`no member of etcd answers: ${failures.join("; ") || "none is known"}`, {
      code: "etcd",
      hint: "on a control plane, see whether etcd runs: crictl ps --name etcd",
    });
  }

  #ask(url: string, question: object): Promise<{ status: number; text: string }> {
    if (!url.startsWith("https://")) throw new RangeError("its address is no https URL");
    return within(TIMEOUT_MS, async (signal) => {
      const { statusCode, body } = await request(url, {
        method: "POST",
        body: JSON.stringify(question),
        headers: { "content-type": "application/json" },
        dispatcher: this.#dispatcher(),
        signal,
      });
      return { status: statusCode, text: (await readBody(body, MAX_BYTES)).toString("utf8") };
    });
  }
}

const texts = (value: unknown) => (Array.isArray(value) ? value.map(textOf).filter(Boolean) : []);

const toMember = (m: Record<string, unknown>): EtcdMember => ({
  id: textOf(m["ID"]),
  name: textOf(m["name"]),
  peerUrls: texts(m["peerURLs"]),
  clientUrls: texts(m["clientURLs"]),
  learner: m["isLearner"] === true,
});

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return jsonExcess(Buffer.from(text)) === undefined ? mapOf(JSON.parse(text)) : undefined;
  } catch {
    return undefined;
  }
}
