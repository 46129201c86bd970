import type { ApiClient } from "../api/client.ts";
import type { Cluster } from "../api/cluster.ts";
import { mapOf, textsOf } from "../api/fields.ts";
import { role, roleBinding, type Subject } from "../api/rbac.ts";
import { objectPath } from "../api/resources.ts";
import type { ComponentConfig } from "../config/kind.ts";
import {
  CM_KUBEADM_CONFIG,
  CM_KUBELET_CONFIG,
  GROUP_BOOTSTRAPPERS,
  GROUP_NODES,
  NAMESPACE_SYSTEM,
} from "../constants/names.ts";
import { KubestickError } from "../errors.ts";
import { readYaml, YamlError } from "../yaml/read.ts";

/** The keys of the two ConfigMaps that hold the documents (kubeadm constants.go). */
const CLUSTER_KEY = "ClusterConfiguration";
const KUBELET_KEY = "kubelet";

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

/**
 * The cluster's configuration for later joins and upgrades, and who may read it (kubeadm uploadconfig); `text` is a
 * whole ClusterConfiguration.
 */
export function kubeadmConfigObjects(text: string): object[] {
  return [
    configMap(CM_KUBEADM_CONFIG, { [CLUSTER_KEY]: text }),
    ...readable("kubeadm:nodes-kubeadm-config", CM_KUBEADM_CONFIG, [bootstrappers, nodes]),
  ];
}

/** The document that kubeadmConfigObjects wrote, or kubeadm, and where it is; empty where there is none. */
export async function readKubeadmConfig(cluster: Pick<Cluster, "get">): Promise<{ text: string; source: string }> {
  const map = await cluster.get("v1", "ConfigMap", CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM);
  const text = textsOf(map?.["data"])[CLUSTER_KEY] ?? "";
  return { text, source: `${NAMESPACE_SYSTEM}/${CM_KUBEADM_CONFIG}` };
}

/**
 * As readKubeadmConfig, for a client that perhaps may not read it, and of any version: the plain document; undefined
 * where it cannot be read or is none. A refusal is final after `patienceMs`.
 */
export async function readAnyKubeadmConfig(
  client: Pick<ApiClient, "callIfAllowed">,
  patienceMs = 0,
): Promise<object | undefined> {
  const path = objectPath("v1", "ConfigMap", CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM);
  const map = await client.callIfAllowed("GET", path, patienceMs);
  try {
    return mapOf(readYaml(textsOf(map?.["data"])[CLUSTER_KEY] ?? ""));
  } catch {
    return undefined;
  }
}

/** The kubelet configuration that every node gets, and who may read it (kubeadm kubelet/config.go); `text` is all of it. */
export function kubeletConfigObjects(text: string): object[] {
  return [
    configMap(CM_KUBELET_CONFIG, { [KUBELET_KEY]: text }),
    ...readable("kubeadm:kubelet-config", CM_KUBELET_CONFIG, [nodes, bootstrappers]),
  ];
}

/** What kubeletConfigObjects wrote, or kubeadm. Throws KubestickError where there is none. */
export async function readKubeletConfig(cluster: Pick<Cluster, "get">): Promise<ComponentConfig> {
  const map = await cluster.get("v1", "ConfigMap", CM_KUBELET_CONFIG, NAMESPACE_SYSTEM);
  let why = "";
  try {
    const config = mapOf(readYaml(textsOf(map?.["data"])[KUBELET_KEY] ?? ""));
    if (config) return config;
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    why = `: line ${error.line}: ${error.message}`;
  }
  throw new KubestickError(
    `the cluster's ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBELET_CONFIG} holds no kubelet configuration${why}`,
    {
      hint: "on a control plane: kubestick init phase upload-config kubelet",
    },
  );
}
