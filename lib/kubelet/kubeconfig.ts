import { USER_NODE_PREFIX } from "../constants/names.ts";
import { KUBELET_CLIENT_CURRENT } from "../constants/paths.ts";
import { kubeconfig } from "../kubeconfig/kubeconfig.ts";
import { writeYaml } from "../yaml/write.ts";

/** The text of a kubelet's kubeconfig that names the certificate which the kubelet renews itself. */
export function rotatingKubeconfig(clusterName: string, nodeName: string, server: string, ca: string): string {
  const own = { certificateFile: KUBELET_CLIENT_CURRENT, keyFile: KUBELET_CLIENT_CURRENT };
  return writeYaml(kubeconfig(clusterName, `${USER_NODE_PREFIX}${nodeName}`, server, ca, own));
}
