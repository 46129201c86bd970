import { parse } from "yaml";
import type { ApiClient } from "../../api/client.ts";
import { objectPath } from "../../api/resources.ts";
import type { ComponentConfig } from "../../config/types.ts";
import { CM_KUBEADM_CONFIG, CM_KUBELET_CONFIG, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { KubestickError } from "../../host/errors.ts";

/** The kubelet configuration that a cluster keeps for its nodes. Throws KubestickError when it keeps none. */
export async function sharedKubeletConfig(client: ApiClient): Promise<ComponentConfig> {
  const map = await client.get<{ data?: Record<string, string> }>(
    "v1",
    "ConfigMap",
    CM_KUBELET_CONFIG,
    NAMESPACE_SYSTEM,
  );
  const config: unknown = parse(map?.data?.["kubelet"] ?? "", { maxAliasCount: 0 });
  if (config !== null && typeof config === "object" && !Array.isArray(config)) return config as ComponentConfig;
  throw new KubestickError(
    `the cluster's ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBELET_CONFIG} holds no kubelet configuration`,
    {
      hint: "on a control plane: kubestick init phase upload-config kubelet",
    },
  );
}

/** The networks of the cluster's pods, or else of its Services, separated by commas; empty where nobody tells. */
export async function podNetworks(client: ApiClient): Promise<string> {
  const path = objectPath("v1", "ConfigMap", CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM);
  const map = await client.callIfAllowed<{ data?: Record<string, string> }>("GET", path);
  try {
    // Not read as a configuration: a worker joins clusters whose configuration this version does not know.
    const cluster = parse(map?.data?.["ClusterConfiguration"] ?? "", { maxAliasCount: 0 }) as {
      networking?: { podSubnet?: unknown; serviceSubnet?: unknown };
    } | null;
    return String(cluster?.networking?.podSubnet ?? cluster?.networking?.serviceSubnet ?? "");
  } catch {
    return "";
  }
}
