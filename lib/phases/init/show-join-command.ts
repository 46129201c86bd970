import { joinCommand } from "../../bootstrap/join-command.ts";
import { ADMIN_KUBECONFIG, CERTIFICATES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { caPin } from "../../pki/certificate.ts";
import { expectAdmins } from "../control-plane.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

/** init's phase `show-join-command`: how to use the cluster, and how others join it. */
export const showJoinCommandPhase: Phase<Init> = {
  name: "show-join-command",
  short: "Show the join command for control-plane and worker node",
  flags: ["skip-token-print", "skip-certificate-key-print"],
  inputs: [`${CERTIFICATES_DIR}/ca.crt`],
  run: async (init) => {
    const { node, cp, access } = init;
    // A phase that is run by itself talks to nobody.
    if (access.used) await expectAdmins(cp);
    const { command, controlPlane } = joinCommands(init);
    node.ui.print(`
Your Kubernetes control-plane has ${node.outcome("initialized successfully", "not been touched: this was a dry run")}!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i ${ADMIN_KUBECONFIG} $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=${ADMIN_KUBECONFIG}
${controlPlane ? `\nYou can now join any number of control-plane nodes by running the following command on each as root:\n\n  ${controlPlane}\n` : ""}
Then you can join any number of worker nodes by running the following on each as root:

  ${command}`);
  },
};

/** The commands that join a worker and, when the certificates were uploaded, a control plane. Throws KubestickError where there is no CA. */
export function joinCommands({ cp, asked, certificateKey }: Init): { command: string; controlPlane?: string } {
  const ca = cp.pki.certificate("ca");
  if (!ca)
    throw new KubestickError(`${cp.pki.path("ca.crt")} is not there`, {
      hint: "run first: kubestick init phase certs ca",
    });
  const token = asked.skipTokenPrint ? "<value withheld>" : cp.config.bootstrapTokens[0]!.token;
  const command = joinCommand(cp.servers.cluster, token, [caPin(ca)]);
  if (!asked.uploadCerts || !certificateKey) return { command };
  const key = asked.skipCertificateKeyPrint ? "<value withheld>" : certificateKey;
  return { command, controlPlane: `${command} --control-plane --certificate-key ${key}` };
}
