import type { Cluster } from "./cluster.ts";
import type { AgentHost } from "./controller.ts";

/** What controllers are made of. */
export interface AgentContext extends AgentHost {
  /** What the cluster says, as far as it has been heard. */
  cluster: Cluster;
}
