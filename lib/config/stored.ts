import { KubestickError } from "../errors.ts";
import { type ClusterConfiguration, cluster as clusterKind } from "./kinds/cluster.ts";
import { parseConfig } from "./load.ts";
import { ConfigError } from "./problems.ts";

/**
 * A ClusterConfiguration as a cluster keeps it, with kubeadm's defaults for the rest; `source` names where its text is
 * from. Throws ConfigError for one that this kubestick does not understand, KubestickError where there is none.
 */
export function storedCluster(text: string, source: string): ClusterConfiguration {
  const { cluster, problems } = parseConfig(text, source);
  if (problems.length > 0) throw new ConfigError(problems);
  if (!cluster) throw new KubestickError(`the ConfigMap ${source} holds no ClusterConfiguration`);
  // A cluster of kubeadm's that says nothing has RSA keys, unless the old gate asked for the others.
  const algorithm = cluster.featureGates?.["PublicKeysECDSA"] ? "ECDSA-P256" : "RSA-2048";
  return clusterKind.defaults({ encryptionAlgorithm: algorithm, ...cluster });
}
