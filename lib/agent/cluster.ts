import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../api/client.ts";
import type { KubeObject } from "../api/resources.ts";
import { isTransient } from "../api/retry.ts";
import { type ClusterNetwork, readClusterNetwork } from "../cluster/network.ts";
import { CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM, USER_NODE_PREFIX } from "../constants/names.ts";
import { KUBELET_CLIENT_CURRENT, KUBELET_KUBECONFIG } from "../constants/paths.ts";
import { KubestickError, reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { type Connection, readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { readCertificates } from "../pki/pem.ts";
import type { AgentHost, Controller } from "./controller.ts";
import { Notices } from "./notices.ts";

/** How often the cluster's configuration is read. */
const READ_MS = 60_000;
/** Soon, so that the agent ends soon when it is told to. */
const CALL_MS = 10_000;

/** A connection to the cluster with the kubelet's own credentials, for as long as these and the kind of network stay. */
export interface Session {
  readonly client: ApiClient;
  /** This node's name. */
  readonly self: string;
  readonly notices: Notices;
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
  /** What was read last. */
  network: ClusterNetwork;
  node: KubeObject | undefined;
}

/** What the cluster says of its networks and of this node, for the other controllers. */
export class Cluster implements Controller {
  readonly name = "cluster";
  readonly #host: AgentHost;
  #session: Session | undefined;
  #end = new AbortController();
  #begun = Promise.withResolvers<Session>();

  constructor(host: AgentHost) {
    this.#host = host;
  }

  /** The session, if there is one. While the API server is away it stays, with what was read last. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Each session as it begins, the one that there is first. Ends with the signal. */
  async *sessions(signal: AbortSignal): AsyncGenerator<Session> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    aborted.catch(() => undefined);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    for (let last: Session | undefined; !signal.aborted; ) {
      const { promise } = this.#begun;
      if (this.#session === undefined || this.#session === last) await Promise.race([promise, aborted]);
      if (this.#session === undefined || this.#session === last) continue;
      last = this.#session;
      yield last;
    }
  }

  /** Follows the cluster with the credentials that there are now. Throws what only others mend, or time. */
  async start(signal: AbortSignal): Promise<void> {
    const { files, log } = this.#host;
    const connection = kubeletConnection(files);
    const self = nodeNameOf(connection.clientCertificate);
    const client = new ApiClient(connection, { callTimeoutMs: CALL_MS });
    // Whatever is being asked is given up.
    const close = () => void client.close();
    signal.addEventListener("abort", close);
    const notices = new Notices(client, self, log);
    let failure = "";
    try {
      this.#begin({ client, self, notices, ...(await read(client, self)) });
      this.#host.changed();
      for (;;) {
        await sleep(READ_MS, undefined, { signal });
        try {
          this.#learn(await read(client, self));
          failure = "";
        } catch (error) {
          // While the API server is away, what is known is kept. Else the kubelet has perhaps renewed its certificate.
          if (!isTransient(error)) throw error;
          if (reason(error) !== failure) log(reason(error));
          failure = reason(error);
        }
      }
    } finally {
      this.#session = undefined;
      this.#end.abort();
      signal.removeEventListener("abort", close);
      await client.close();
    }
  }

  #learn(told: Pick<Session, "network" | "node">): void {
    const session = this.#session!;
    if (told.network.kind !== session.network.kind) this.#begin({ ...session, ...told });
    else Object.assign(session, told);
    this.#host.changed();
  }

  #begin(session: Omit<Session, "signal">): void {
    this.#end.abort();
    this.#end = new AbortController();
    this.#session = { ...session, signal: this.#end.signal };
    const { resolve } = this.#begun;
    this.#begun = Promise.withResolvers();
    resolve(this.#session);
  }
}

function kubeletConnection(files: Files): Connection {
  const text = files.readText(KUBELET_KUBECONFIG);
  if (text === undefined) throw new KubestickError(`${KUBELET_KUBECONFIG} is not there yet`);
  return readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file));
}

async function read(client: ApiClient, self: string): Promise<Pick<Session, "network" | "node">> {
  const [network, node] = await Promise.all([readClusterNetwork(client), client.get("v1", "Node", self)]);
  if (network) return { network, node };
  throw new KubestickError(
    `the ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBEADM_CONFIG} cannot be read or holds no ClusterConfiguration, so the ranges of Services and pods are not known`,
  );
}

function nodeNameOf(certificate: string | undefined): string {
  const [own] = certificate ? readCertificates(certificate, KUBELET_CLIENT_CURRENT) : [];
  const name = /^CN=([^\n]+)$/m.exec(own?.subject ?? "")?.[1];
  if (name?.startsWith(USER_NODE_PREFIX)) return name.slice(USER_NODE_PREFIX.length);
  throw new KubestickError(`${KUBELET_KUBECONFIG} holds no node's certificate yet`);
}
