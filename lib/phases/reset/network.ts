import { CNI_NETWORK, CNI_STATE_DIR } from "../../constants/network.ts";
import type { Removal } from "../../edge/removal.ts";
import type { Files } from "../../host/files.ts";
import { type Left, removeTree } from "../../host/remove.ts";
import type { Reset } from "./context.ts";
import { isLeft, resolvePlace } from "./places.ts";

/** Networks whose results containerd keeps for pods: kubestick's, and the loopback of each pod. */
const POD_NETWORKS = [CNI_NETWORK, "cni-loopback"];

/**
 * What the CNI plugins and their callers have kept of kubestick's network: its addresses would count as given out. What
 * belongs to other networks, such as podman's, stays.
 */
export const networkRemoval = ({ files }: Pick<Reset, "files">): Removal => ({
  path: CNI_STATE_DIR,
  remove: () => removeNetworkState(files),
});

function removeNetworkState(files: Files): Left[] {
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
