import { isTransient } from "../api/retry.ts";
import { reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { clock } from "./clock.ts";
import { Cluster } from "./cluster.ts";
import type { AgentContext } from "./context.ts";
import { type AgentHost, type Controller, type KeptGoing, keepGoing } from "./controller.ts";
import { FlatNetwork } from "./flat-network.ts";
import { hostRoutes } from "./host-routes.ts";
import { nameservers } from "./nameservers.ts";
import { serviceRoutes } from "./service-routes.ts";

/** What the agent sees to, in the order in which it begins: nothing else runs before the clock is right. */
const CONTROLLERS: ((ctx: AgentContext) => Controller)[] = [
  clock,
  serviceRoutes,
  nameservers,
  hostRoutes,
  ({ cluster }) => cluster,
  (ctx) => new FlatNetwork(ctx),
];

/** The node agent: controllers that are kept going, on every node, whatever its cluster's network is. */
export class NodeAgent {
  readonly #files: Files;
  readonly #log: (text: string) => void;
  #controllers: KeptGoing[] = [];

  constructor(files: Files, log: (text: string) => void) {
    this.#files = files;
    this.#log = log;
  }

  /** Has every controller reconcile soon. */
  reconcile(): void {
    for (const { changed } of this.#controllers) changed();
  }

  /** Runs until the signal. Never throws. */
  async start(signal: AbortSignal): Promise<void> {
    const host: AgentHost = { files: this.#files, log: this.#log, changed: () => this.reconcile() };
    const cluster = new Cluster(host);
    const ctx = { ...host, cluster };
    this.#controllers = [];
    for (const make of CONTROLLERS) {
      const controller = make(ctx);
      this.#controllers.push(keepGoing(controller, signal, (error) => this.#failed(controller, cluster, error)));
    }
    await Promise.all(this.#controllers.map(({ ended }) => ended));
  }

  /** In the log, and where the cluster can be told and waiting alone does not mend it, as an Event of this Node. */
  #failed({ name }: Controller, { session }: Cluster, error: unknown): void {
    const what = `${name}: ${reason(error)}; trying again`;
    const uid = session?.node?.metadata["uid"];
    if (!session || typeof uid !== "string" || isTransient(error)) this.#log(what);
    else session.notices.say({ name: session.self, uid }, "NodeAgentFailed", what);
  }
}

/** Runs the node agent until the signal. */
export const runNodeAgent = (files: Files, log: (text: string) => void, signal: AbortSignal): Promise<void> =>
  new NodeAgent(files, log).start(signal);
