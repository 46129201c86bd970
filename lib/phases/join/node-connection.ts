import { KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import type { Files } from "../../host/files.ts";
import { type Connection, readKubeconfig } from "../../kubeconfig/kubeconfig.ts";

/** The kubelet's own credentials. Throws KubestickError where it has none. */
export function nodeConnection(files: Files): Connection {
  const text = files.readText(KUBELET_KUBECONFIG);
  if (text === undefined)
    throw new KubestickError(`${KUBELET_KUBECONFIG} is not there`, {
      hint: "run first: kubestick join phase kubelet-start",
    });
  return readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file));
}
