import { parse } from "yaml";
import type { ApiClient } from "../../api/client.ts";
import type { ComponentConfig } from "../../config/types.ts";
import { CM_KUBELET_CONFIG, NAMESPACE_SYSTEM } from "../../constants/names.ts";
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
