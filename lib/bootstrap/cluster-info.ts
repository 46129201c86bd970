import { role, roleBinding } from "../api/rbac.ts";
import { CM_CLUSTER_INFO, JWS_KEY_PREFIX, NAMESPACE_PUBLIC, USER_ANONYMOUS } from "../constants/names.ts";
import { signDetached } from "./jws.ts";

/** The kubeconfig that cluster-info shows to everybody: the server and its CA, no user. Text as client-go prints it. */
export function discoveryKubeconfig(server: string, caPem: string): string {
  return `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${Buffer.from(caPem).toString("base64")}
    server: ${server}
  name: ""
contexts: null
current-context: ""
kind: Config
users: null
`;
}

/** The cluster-info ConfigMap with a signature for each signing token (kubeadm bootstraptoken/clusterinfo). */
export function clusterInfo(kubeconfig: string, tokens: { id: string; secret: string }[]): object {
  const signatures = tokens.map(({ id, secret }) => [`${JWS_KEY_PREFIX}${id}`, signDetached(kubeconfig, id, secret)]);
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: CM_CLUSTER_INFO, namespace: NAMESPACE_PUBLIC },
    data: { ...Object.fromEntries(signatures), kubeconfig },
  };
}

/** Lets anybody read cluster-info, and nothing else. */
export function clusterInfoRbac(): object[] {
  const name = "kubeadm:bootstrap-signer-clusterinfo";
  return [
    role(NAMESPACE_PUBLIC, name, [
      { apiGroups: [""], resourceNames: [CM_CLUSTER_INFO], resources: ["configmaps"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_PUBLIC, name, name, [{ kind: "User", name: USER_ANONYMOUS }]),
  ];
}
