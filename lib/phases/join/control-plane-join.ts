import { apiServerKubeletClient } from "../../bootstrap/rbac.ts";
import { markControlPlane } from "../init/mark-control-plane.ts";
import type { Phase } from "../runner.ts";
import type { Join } from "./context.ts";

/** join's phase `control-plane-join`: this node's labels and taints. */
export const controlPlaneJoinPhase: Phase<Join> = {
  name: "control-plane-join",
  short: "Join a machine as a control plane instance",
  live: true,
  children: [
    {
      name: "mark-control-plane",
      short: "Mark a node as a control-plane",
      tag: "mark-control-plane",
      live: true,
      inputs: ["Node NAME"],
      outputs: ["ClusterRoleBinding kubeadm:apiserver-kubelet-client", "Node NAME"],
      run: async ({ controlPlane }, step) => {
        const { cp, admin } = await controlPlane();
        // A cluster that was made by an older kubeadm lacks it: there that right came with the client's certificate.
        await admin.apply([apiServerKubeletClient()]);
        await markControlPlane(cp, admin, step);
      },
    },
  ],
};
