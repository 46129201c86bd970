import { ApiClient } from "../../api/client.ts";
import { readClusterNetwork } from "../../cluster/network.ts";
import { NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { AGENT_SERVICE, CM_KUBESTICK } from "../../constants/network.ts";
import { hasNodeCertificate } from "../../kubelet/bootstrap.ts";
import { startNodeAgent } from "../node-agent.ts";
import type { Phase } from "../runner.ts";
import type { Join } from "./context.ts";
import { nodeConnection } from "./node-connection.ts";

const NEW_SERVER_MS = 15_000;

/** join's phase `network`: the node agent, which finds out for itself what the cluster's network is. */
export const networkPhase: Phase<Join> = {
  name: "network",
  short: "Start the node agent",
  live: true,
  inputs: [`ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBESTICK}`],
  outputs: [`service ${AGENT_SERVICE}`],
  run: async (join, step) => startNodeAgent(join.node, await networkOf(join), step),
};

/** Who makes the pods' network, as the node itself may read it; undefined where kubestick did not make the cluster. */
async function networkOf({ node, config, access }: Join): Promise<string | undefined> {
  // In a dry run the node gets no credentials of its own.
  if (!hasNodeCertificate(node.files)) return (await access.network())?.kind;
  const client = new ApiClient(nodeConnection(node.files));
  try {
    // This control plane's own API server answers before it knows who has which rights.
    return (await readClusterNetwork(client, config.controlPlane ? NEW_SERVER_MS : 0))?.kind;
  } finally {
    await client.close();
  }
}
