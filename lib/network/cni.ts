import { CNI_CONF_DIR, CNI_CONFIG_FILE } from "../constants/network.ts";
import type { Files } from "../host/files.ts";

/** Configurations of networks other than kubestick's, in the order in which the runtime looks at them: by name (containerd go-cni). */
export function otherCniConfigs(files: Files): string[] {
  const names = files.list(CNI_CONF_DIR).filter((name) => /\.(conf|conflist|json)$/.test(name));
  const paths = names.map((name) => `${CNI_CONF_DIR}/${name}`);
  return paths.filter((path) => path !== CNI_CONFIG_FILE).sort();
}

/**
 * Another network's configuration that the runtime takes instead of kubestick's, since it takes the first (max_conf_num).
 * Those behind it, such as podman's, lie there in peace. Undefined where kubestick's is the first.
 */
export function winningCniConfig(files: Files): string | undefined {
  return otherCniConfigs(files).find((path) => path < CNI_CONFIG_FILE);
}
