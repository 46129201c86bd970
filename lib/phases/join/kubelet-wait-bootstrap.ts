import { KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { readKubeconfig, withServer } from "../../kubeconfig/kubeconfig.ts";
import type { Phase } from "../runner.ts";
import type { Join } from "./context.ts";

/**
 * join's phase `kubelet-wait-bootstrap`: points the kubelet at this node's own API server, so that it does not depend on
 * another's (ControlPlaneKubeletLocalMode).
 */
export const kubeletWaitBootstrapPhase: Phase<Join> = {
  name: "kubelet-wait-bootstrap",
  short: "Wait for the kubelet to bootstrap itself",
  live: true,
  inputs: [KUBELET_KUBECONFIG],
  outputs: [KUBELET_KUBECONFIG],
  run: async ({ node, controlPlane }, step) => {
    const { files, services } = node;
    const { local } = (await controlPlane()).cp.servers;
    const text = files.readText(KUBELET_KUBECONFIG);
    if (text === undefined) return;
    if (readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file) ?? "").server === local) return;
    files.write(KUBELET_KUBECONFIG, withServer(text, local, KUBELET_KUBECONFIG), { mode: 0o600, secret: true });
    await services.restart("kubelet");
    step(`The kubelet now uses this node's own API server, ${local}`);
  },
};
