import type { ApiClient } from "../../api/client.ts";
import { mapOf, textsOf } from "../../api/fields.ts";
import type { ComponentConfig } from "../../config/kind.ts";
import { CM_KUBELET_CONFIG, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { KubestickError } from "../../errors.ts";
import { readYaml, YamlError } from "../../yaml/read.ts";

/** The kubelet configuration that a cluster keeps for its nodes. Throws KubestickError when it keeps none. */
export async function sharedKubeletConfig(client: ApiClient): Promise<ComponentConfig> {
  const map = await client.get("v1", "ConfigMap", CM_KUBELET_CONFIG, NAMESPACE_SYSTEM);
  let why = "";
  try {
    const config = mapOf(readYaml(textsOf(map?.["data"])["kubelet"] ?? ""));
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
