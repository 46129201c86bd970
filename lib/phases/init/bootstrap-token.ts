import { serviceAccount } from "../../api/rbac.ts";
import type { KubeObject } from "../../api/resources.ts";
import { apiServerKubeletClient, nodeBootstrapRbac } from "../../bootstrap/rbac.ts";
import { clusterInfoRbac, discoveryKubeconfig } from "../../cluster/info.ts";
import { signClusterInfo, splitToken, tokenSecret } from "../../cluster/tokens.ts";
import { CM_CLUSTER_INFO, NAMESPACE_PUBLIC, NAMESPACE_SYSTEM, SECRET_TOKEN_PREFIX } from "../../constants/names.ts";
import { CERTIFICATES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { certificatePem } from "../../pki/certificate.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

/** init's phase `bootstrap-token`: tokens, what they may do, and the signed cluster-info. */
export const bootstrapTokenPhase: Phase<Init> = {
  name: "bootstrap-token",
  short: "Generates bootstrap tokens used to join a node to a cluster",
  live: true,
  flags: ["token", "token-ttl", "skip-token-print"],
  inputs: [`${CERTIFICATES_DIR}/ca.crt`],
  outputs: [
    `Secret ${NAMESPACE_SYSTEM}/${SECRET_TOKEN_PREFIX}ID`,
    "ClusterRole kubeadm:get-nodes",
    "ClusterRoleBinding kubeadm:get-nodes",
    "ClusterRoleBinding kubeadm:kubelet-bootstrap",
    "ClusterRoleBinding kubeadm:node-autoapprove-bootstrap",
    "ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation",
    "ClusterRoleBinding kubeadm:apiserver-kubelet-client",
    `Namespace ${NAMESPACE_PUBLIC}`,
    `ConfigMap ${NAMESPACE_PUBLIC}/${CM_CLUSTER_INFO}`,
    `Role ${NAMESPACE_PUBLIC}/kubeadm:bootstrap-signer-clusterinfo`,
    `RoleBinding ${NAMESPACE_PUBLIC}/kubeadm:bootstrap-signer-clusterinfo`,
    `ServiceAccount ${NAMESPACE_SYSTEM}/bootstrap-signer`,
  ],
  run: async ({ node, cp, access, asked }, step) => {
    const { bootstrapTokens } = cp.config;
    const cluster = await access.cluster();
    if (!asked.skipTokenPrint)
      node.ui.detail(`bootstrap token ids: ${bootstrapTokens.map((t) => splitToken(t.token).id).join(", ")}`);
    step("Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles");
    const now = new Date();
    for (const token of bootstrapTokens) await cluster.apply(tokenSecret(token, now) as KubeObject);
    await access.apply([...nodeBootstrapRbac(), apiServerKubeletClient()]);
    const ca = cp.pki.certificate("ca");
    if (!ca)
      throw new KubestickError(`${cp.pki.path("ca.crt")} is not there`, {
        hint: "run first: kubestick init phase certs ca",
      });
    step(`Creating the "${CM_CLUSTER_INFO}" ConfigMap in the "${NAMESPACE_PUBLIC}" namespace`);
    await cluster.createIfAbsent({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE_PUBLIC } });
    await signClusterInfo(cluster, discoveryKubeconfig(cp.servers.cluster, certificatePem(ca)), now);
    await access.apply([serviceAccount("bootstrap-signer"), ...clusterInfoRbac()]);
  },
};
