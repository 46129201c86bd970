import type { NodeRegistration, Taint } from "../config/kinds/fields.ts";
import { LABEL_CONTROL_PLANE } from "../constants/names.ts";
import { KUBELET_BOOTSTRAP_KUBECONFIG, KUBELET_CONFIG_FILE, KUBELET_KUBECONFIG } from "../constants/paths.ts";
import { mergeArgs } from "../manifests/pod.ts";

/** The taint that keeps ordinary pods off a control plane node. */
export const CONTROL_PLANE_TAINT: Taint = { key: LABEL_CONTROL_PLANE, effect: "NoSchedule" };

/**
 * The file that a kubelet service reads its flags from: KUBELET_KUBEADM_ARGS (kubeadm kubelet/flags.go). A node that
 * has a name of its own tells it by `--hostname-override`; a worker's taints are registered by the kubelet.
 */
export function kubeletFlags(
  node: Partial<NodeRegistration> & { name: string },
  hostname: string,
  options: { registerTaints?: boolean | undefined; nodeIp?: string | undefined } = {},
): string {
  const { registerTaints = false, nodeIp } = options;
  const defaults: [string, string][] = [];
  if (nodeIp !== undefined) defaults.push(["node-ip", nodeIp]);
  if (node.name !== hostname) defaults.push(["hostname-override", node.name]);
  if (registerTaints && node.taints && node.taints.length > 0) {
    defaults.push(["register-with-taints", node.taints.map((t) => `${t.key}=${t.value ?? ""}:${t.effect}`).join(",")]);
  }
  return `KUBELET_KUBEADM_ARGS="${mergeArgs(defaults, node.kubeletExtraArgs ?? [])
    .map(quote)
    .join(" ")}"\n`;
}

/** The flags that start a kubelet on a node that kubeadm's layout describes (kubeadm's 10-kubeadm.conf). */
export const KUBELET_BASE_ARGS = [
  `--bootstrap-kubeconfig=${KUBELET_BOOTSTRAP_KUBECONFIG}`,
  `--kubeconfig=${KUBELET_KUBECONFIG}`,
  `--config=${KUBELET_CONFIG_FILE}`,
];

function quote(flag: string): string {
  return flag.replace(/["\\$`]/g, "\\$&");
}
