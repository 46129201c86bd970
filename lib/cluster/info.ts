import type { Cluster } from "../api/cluster.ts";
import { textsOf } from "../api/fields.ts";
import { role, roleBinding } from "../api/rbac.ts";
import { objectPath } from "../api/resources.ts";
import { CM_CLUSTER_INFO, JWS_KEY_PREFIX, NAMESPACE_PUBLIC, USER_ANONYMOUS } from "../constants/names.ts";
import { KubestickError } from "../errors.ts";
import { signDetached, verifyDetached } from "./jws.ts";

/** Where the API server has cluster-info. */
export const CLUSTER_INFO_PATH = objectPath("v1", "ConfigMap", CM_CLUSTER_INFO, NAMESPACE_PUBLIC);

/** A bootstrap token in its two parts. */
export interface TokenParts {
  id: string;
  secret: string;
}

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
export function clusterInfo(kubeconfig: string, tokens: TokenParts[]): object {
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

/** The kubeconfig that cluster-info shows. Throws KubestickError when the cluster has none. */
export async function publishedKubeconfig(cluster: Pick<Cluster, "get">): Promise<string> {
  const info = await cluster.get("v1", "ConfigMap", CM_CLUSTER_INFO, NAMESPACE_PUBLIC);
  const text = textsOf(info?.["data"])["kubeconfig"];
  if (text) return text;
  throw new KubestickError(
    `the ConfigMap ${NAMESPACE_PUBLIC}/${CM_CLUSTER_INFO} is not there, so no node can find this cluster`,
    {
      hint: "make it: kubestick init phase bootstrap-token",
    },
  );
}

/** What a cluster-info of unknown origin is worth to somebody with a token. */
export type SignedInfo =
  | { state: "signed"; kubeconfig: string }
  /** It has no signature of this token, or another one's. */
  | { state: "unsigned" }
  | { state: "forged" }
  /** A value that is no text, by its key. */
  | { state: "damaged"; key: string };

/** Reads the data of a cluster-info and checks that this token signed its kubeconfig. */
export function readSignedInfo(data: Record<string, unknown>, { id, secret }: TokenParts): SignedInfo {
  const signatureKey = `${JWS_KEY_PREFIX}${id}`;
  const isText = (value: unknown): value is string | undefined => value === undefined || typeof value === "string";
  const [signature, kubeconfig] = [data[signatureKey], data["kubeconfig"]];
  if (!isText(signature)) return { state: "damaged", key: signatureKey };
  if (!isText(kubeconfig)) return { state: "damaged", key: "kubeconfig" };
  if (signature === undefined) return { state: "unsigned" };
  return verifyDetached(signature, kubeconfig ?? "", id, secret)
    ? { state: "signed", kubeconfig: kubeconfig ?? "" }
    : { state: "forged" };
}
