import { KUBELET_CLIENT_CURRENT, KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import { rotatingKubeconfig } from "../../kubelet/kubeconfig.ts";
import type { Say } from "../../ui/ui.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Phase } from "../runner.ts";

/**
 * init's phase `kubelet-finalize`: kubelet.conf names the certificate that the kubelet renews itself, in place of the
 * first one (kubeadm phases/init/kubeletfinalize.go).
 */
export const kubeletFinalizePhase: Phase<{ cp: ControlPlane }> = {
  name: "kubelet-finalize",
  short: "Updates settings relevant to the kubelet after TLS bootstrap",
  live: true,
  children: [
    {
      name: "enable-client-cert-rotation",
      short: "Enable kubelet client certificate rotation",
      live: true,
      flags: ["cert-dir"],
      inputs: [KUBELET_KUBECONFIG, KUBELET_CLIENT_CURRENT],
      outputs: [KUBELET_KUBECONFIG],
      run: ({ cp }, step) => rotateClientCertificate(cp, step),
    },
  ],
};

async function rotateClientCertificate(cp: ControlPlane, step: Say): Promise<void> {
  const { files, ledger, services, waiting, name } = cp.node;
  if ((await cp.kubelet()).local["rotateCertificates"] !== true) {
    step("The kubelet does not rotate its certificate (rotateCertificates); its kubeconfig is left as it is");
    return;
  }
  const text = files.readText(KUBELET_KUBECONFIG);
  if (text === undefined)
    throw new KubestickError(`${KUBELET_KUBECONFIG} is not there`, {
      hint: "run first: kubestick init phase kubeconfig kubelet",
    });
  if (!waiting.made(files.exists(KUBELET_CLIENT_CURRENT))) {
    throw new KubestickError(`the kubelet has not written ${KUBELET_CLIENT_CURRENT}`, {
      hint: `look at its log: ${services.logCommand("kubelet")}`,
    });
  }
  const current = readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file) ?? "");
  const rotating = rotatingKubeconfig(cp.config.cluster.clusterName, name, current.server, current.ca);
  if (text === rotating) return;
  ledger.replace(KUBELET_KUBECONFIG, rotating, { mode: 0o600, secret: true });
  step(`Updating "${KUBELET_KUBECONFIG}" to point to a rotatable kubelet client certificate and key`);
  await services.restart("kubelet");
}
