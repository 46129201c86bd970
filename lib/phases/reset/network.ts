import { CNI_NETWORK, CNI_STATE_DIR } from "../../constants/network.ts";
import { type Left, removeTree } from "../../host/remove.ts";
import { removeFlatNetwork } from "../../network/apply.ts";
import { removeOwnRoutes } from "../../network/routes.ts";
import type { ResetContext } from "./context.ts";
import { isLeft, resolvePlace } from "./places.ts";

/** Networks whose results containerd keeps for pods: kubestick's, and the loopback of each pod. */
const POD_NETWORKS = [CNI_NETWORK, "cni-loopback"];

/**
 * Takes kubestick's routes, tables and bridge off this host, all known by their marks, and what the CNI plugins and
 * their callers have kept of its network: its addresses would count as given out. What belongs to other networks, such
 * as podman's, stays. Gives what could not be removed.
 */
export function cleanNetwork({ files, ui }: Pick<ResetContext, "files" | "ui">): Left[] {
  const removed = [...removeOwnRoutes(), ...removeFlatNetwork()];
  if (removed.length > 0) ui.step("cleanup-node", `Removed from the network: ${removed.join(", ")}`);
  const resolved = resolvePlace(CNI_STATE_DIR);
  if (resolved === undefined || isLeft(resolved)) return resolved ? [resolved] : [];
  const results = files
    .list(`${CNI_STATE_DIR}/results`)
    .filter((name) => POD_NETWORKS.some((network) => name.startsWith(`${network}-`)));
  const own = [`networks/${CNI_NETWORK}`, ...results.map((name) => `results/${name}`)];
  const left = own.flatMap((path) => removeTree(`${resolved.real}/${path}`));
  for (const dir of ["/networks", "/results", ""]) files.removeEmptyDirectory(CNI_STATE_DIR + dir);
  return left;
}
