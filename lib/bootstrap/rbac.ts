import { clusterRole, clusterRoleBinding, type Subject } from "../api/rbac.ts";
import { GROUP_BOOTSTRAPPERS, GROUP_CLUSTER_ADMINS, GROUP_NODES } from "../constants/names.ts";

const bootstrappers: Subject[] = [{ kind: "Group", name: GROUP_BOOTSTRAPPERS }];

/** Makes `kubeadm:cluster-admins`, the group in admin.conf, administrators (kubeadm kubeconfig.go). */
export function clusterAdmins(): object {
  return clusterRoleBinding("kubeadm:cluster-admins", "cluster-admin", [{ kind: "Group", name: GROUP_CLUSTER_ADMINS }]);
}

/** Lets the API server use the kubelets' own API (kubeadm v1.36, in place of membership in system:masters). */
export function apiServerKubeletClient(): object {
  return clusterRoleBinding("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", [
    { kind: "User", name: "kube-apiserver-kubelet-client" },
  ]);
}

/** What a node with a bootstrap token may do, and what is approved for it (kubeadm bootstraptoken/node/tlsbootstrap.go). */
export function nodeBootstrapRbac(): object[] {
  const csr = "system:certificates.k8s.io:certificatesigningrequests";
  return [
    clusterRole("kubeadm:get-nodes", [{ apiGroups: [""], resources: ["nodes"], verbs: ["get"] }]),
    clusterRoleBinding("kubeadm:get-nodes", "kubeadm:get-nodes", bootstrappers),
    clusterRoleBinding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", bootstrappers),
    clusterRoleBinding("kubeadm:node-autoapprove-bootstrap", `${csr}:nodeclient`, bootstrappers),
    clusterRoleBinding("kubeadm:node-autoapprove-certificate-rotation", `${csr}:selfnodeclient`, [
      { kind: "Group", name: GROUP_NODES },
    ]),
  ];
}
