import { Agent, request } from "undici/index.js";
import { KubestickError, reason } from "../host/errors.ts";

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
}

const TIMEOUT_MS = 10_000;

/**
 * The membership of an etcd cluster, through the JSON gateway of its v3 API
 * (https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/), over mutual TLS. Each call asks the endpoints in turn until
 * one answers. Throws EtcdError for etcd's own refusals, KubestickError when no endpoint answers.
 */
export class EtcdMembers {
  readonly #agent: Agent;
  readonly #endpoints: string[];

  constructor(endpoints: string[], tls: { ca: string; certificate: string; key: string }) {
    this.#endpoints = endpoints;
    this.#agent = new Agent({ connect: { ca: tls.ca, cert: tls.certificate, key: tls.key, timeout: 3_000 } });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Every member, learners too. Asks for a linearizable answer, so that a member just removed is not shown. */
  async list(): Promise<EtcdMember[]> {
    const { members } = await this.#call<{ members?: GatewayMember[] }>("cluster/member/list", { linearizable: true });
    return (members ?? []).map(toMember);
  }

  /** Adds a member as a learner, which has no vote until it is promoted. Gives its id. */
  async addLearner(peerUrl: string): Promise<string> {
    const { member } = await this.#call<{ member: GatewayMember }>("cluster/member/add", {
      peerURLs: [peerUrl],
      isLearner: true,
    });
    return member.ID;
  }

  /** Gives a learner its vote. Throws EtcdError while it has not caught up. */
  async promote(id: string): Promise<void> {
    await this.#call("cluster/member/promote", { ID: id });
  }

  /** Takes a member out. */
  async remove(id: string): Promise<void> {
    await this.#call("cluster/member/remove", { ID: id });
  }

  async #call<T>(path: string, body: object): Promise<T> {
    const failures: string[] = [];
    for (const endpoint of this.#endpoints) {
      let status: number;
      let text: string;
      try {
        const response = await request(`${endpoint}/v3/${path}`, {
          method: "POST",
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" },
          dispatcher: this.#agent,
          headersTimeout: TIMEOUT_MS,
          bodyTimeout: TIMEOUT_MS,
        });
        status = response.statusCode;
        text = await response.body.text();
      } catch (error) {
        failures.push(`${endpoint}: ${reason(error)}`);
        continue;
      }
      if (status === 200) return JSON.parse(text) as T;
      const said = message(text);
      // A member without a leader, or one that is just stopping, says nothing about the cluster; the next one may.
      if (status >= 500 && status !== 501 && /no leader|stopped|timed out|unavailable/i.test(said)) {
        failures.push(`${endpoint}: ${said}`);
        continue;
      }
      throw new EtcdError(`etcd refuses ${path.replace("cluster/", "")}: ${said}`);
    }
    throw new KubestickError(`no member of etcd answers: ${failures.join("; ") || "none is known"}`, {
      hint: "on a control plane, see whether etcd runs: crictl ps --name etcd",
    });
  }
}

interface GatewayMember {
  ID: string;
  name?: string;
  peerURLs?: string[];
  clientURLs?: string[];
  isLearner?: boolean;
}

const toMember = (m: GatewayMember): EtcdMember => ({
  id: m.ID,
  name: m.name ?? "",
  peerUrls: m.peerURLs ?? [],
  clientUrls: m.clientURLs ?? [],
  learner: m.isLearner ?? false,
});

function message(text: string): string {
  try {
    const { message: said, error } = JSON.parse(text) as { message?: string; error?: string };
    return said ?? error ?? text;
  } catch {
    return text.slice(0, 300);
  }
}
