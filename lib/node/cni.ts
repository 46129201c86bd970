import { CNI_CONF_DIR, CNI_CONFIG_FILE } from "../constants/network.ts";
import type { Files } from "../host/files.ts";

/**
 * Another network's configuration that the runtime takes instead of kubestick's: it takes the first by name (containerd
 * go-cni, max_conf_num). Those behind it, such as podman's, lie there in peace. Undefined where kubestick's is the first.
 */
export function winningCniConfig(files: Files): string | undefined {
  const names = files.list(CNI_CONF_DIR).filter((name) => /\.(conf|conflist|json)$/.test(name));
  const first = names.map((name) => `${CNI_CONF_DIR}/${name}`).sort()[0];
  return first !== undefined && first < CNI_CONFIG_FILE ? first : undefined;
}
