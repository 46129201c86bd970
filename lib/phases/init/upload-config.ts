import { kubeadmConfigObjects, kubeletConfigObjects } from "../../cluster/config.ts";
import { cluster as clusterKind } from "../../config/kinds/cluster.ts";
import { documentText, toDocument } from "../../config/write.ts";
import { CM_KUBEADM_CONFIG, CM_KUBELET_CONFIG, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { CLUSTER_FILE } from "../../constants/paths.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";
import { expectSameCluster } from "./identity.ts";

/** init's phase `upload-config`: the ConfigMaps that joins and upgrades read. */
export const uploadConfigPhase: Phase<Init> = {
  name: "upload-config",
  short: "Upload the kubeadm and kubelet configuration to a ConfigMap",
  live: true,
  children: [
    {
      name: "kubeadm",
      short: "Upload the kubeadm ClusterConfiguration to a ConfigMap",
      live: true,
      inputs: ["Namespace kube-system", CLUSTER_FILE],
      outputs: [
        CLUSTER_FILE,
        `ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBEADM_CONFIG}`,
        `Role ${NAMESPACE_SYSTEM}/kubeadm:nodes-kubeadm-config`,
        `RoleBinding ${NAMESPACE_SYSTEM}/kubeadm:nodes-kubeadm-config`,
      ],
      run: async ({ node, cp, access }, step) => {
        await expectSameCluster(node.files, await access.cluster(), cp.config.cluster.etcd.local);
        step(
          `Storing the configuration used in ConfigMap "${CM_KUBEADM_CONFIG}" in the "${NAMESPACE_SYSTEM}" Namespace`,
        );
        await access.apply(kubeadmConfigObjects(documentText(toDocument(clusterKind, cp.config.cluster))));
      },
    },
    {
      name: "kubelet",
      short: "Upload the kubelet component config to a ConfigMap",
      live: true,
      outputs: [
        `ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBELET_CONFIG}`,
        `Role ${NAMESPACE_SYSTEM}/kubeadm:kubelet-config`,
        `RoleBinding ${NAMESPACE_SYSTEM}/kubeadm:kubelet-config`,
      ],
      run: async ({ cp, access }, step) => {
        step(
          `Creating a ConfigMap "${CM_KUBELET_CONFIG}" in namespace ${NAMESPACE_SYSTEM} with the configuration for the kubelets in the cluster`,
        );
        await access.apply(kubeletConfigObjects(documentText((await cp.kubelet()).shared)));
      },
    },
  ],
};
