import { CNI_NETWORK, CNI_STATE_DIR } from "../../constants/network.ts";
import { removeFlatNetwork } from "../../network/apply.ts";
import { removeOwnRoutes } from "../../network/routes.ts";
import type { ResetContext } from "./context.ts";

/** Networks whose results containerd keeps for pods: kubestick's, and the loopback of each pod. */
const POD_NETWORKS = [CNI_NETWORK, "cni-loopback"];

/**
 * Takes kubestick's routes, tables and bridge off this host, all known by their marks, and what the CNI plugins and
 * their callers have kept of its network: its addresses would count as given out. What belongs to other networks, such
 * as podman's, stays.
 */
export function cleanNetwork({ files, ui }: Pick<ResetContext, "files" | "ui">): void {
  const removed = [...removeOwnRoutes(), ...removeFlatNetwork()];
  if (removed.length > 0) ui.step("cleanup-node", `Removed from the network: ${removed.join(", ")}`);
  const results = `${CNI_STATE_DIR}/results`;
  files.removeTree(`${CNI_STATE_DIR}/networks/${CNI_NETWORK}`);
  for (const name of files.list(results))
    if (POD_NETWORKS.some((network) => name.startsWith(`${network}-`))) files.removeTree(`${results}/${name}`);
  for (const dir of [`${CNI_STATE_DIR}/networks`, results, CNI_STATE_DIR]) files.removeEmptyDirectory(dir);
}
