import { role, roleBinding, type Subject } from "../api/rbac.ts";
import type { ComponentConfig } from "../config/kind.ts";
import { type ClusterConfiguration, cluster as clusterKind } from "../config/kinds/cluster.ts";
import { documentText, toDocument } from "../config/write.ts";
import {
  CM_KUBEADM_CONFIG,
  CM_KUBELET_CONFIG,
  GROUP_BOOTSTRAPPERS,
  GROUP_NODES,
  NAMESPACE_SYSTEM,
} from "../constants/names.ts";

const bootstrappers: Subject = { kind: "Group", name: GROUP_BOOTSTRAPPERS };
const nodes: Subject = { kind: "Group", name: GROUP_NODES };

function readable(name: string, configMap: string, readers: Subject[]): object[] {
  return [
    role(NAMESPACE_SYSTEM, name, [
      { apiGroups: [""], resourceNames: [configMap], resources: ["configmaps"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, name, name, readers),
  ];
}

function configMap(name: string, data: Record<string, string>): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: NAMESPACE_SYSTEM }, data };
}

/** The cluster's configuration for later joins and upgrades, and who may read it (kubeadm uploadconfig). */
export function kubeadmConfigObjects(cluster: ClusterConfiguration): object[] {
  return [
    configMap(CM_KUBEADM_CONFIG, { ClusterConfiguration: documentText(toDocument(clusterKind, cluster)) }),
    ...readable("kubeadm:nodes-kubeadm-config", CM_KUBEADM_CONFIG, [bootstrappers, nodes]),
  ];
}

/** The kubelet configuration that every node gets, and who may read it (kubeadm kubelet/config.go). */
export function kubeletConfigObjects(config: ComponentConfig): object[] {
  return [
    configMap(CM_KUBELET_CONFIG, { kubelet: documentText(config) }),
    ...readable("kubeadm:kubelet-config", CM_KUBELET_CONFIG, [nodes, bootstrappers]),
  ];
}
