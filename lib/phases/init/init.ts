import { joinCommand } from "../../bootstrap/join-command.ts";
import { KUBERNETES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { caPin } from "../../pki/certificate.ts";
import { verifyBundle } from "../../preflight/bundle.ts";
import { runChecks, warnOfUnknown } from "../../preflight/check.ts";
import { INIT_CHECKS } from "../../preflight/init.ts";
import { bundlePhase } from "../bundle.ts";
import type { Phase } from "../runner.ts";
import {
  addonPhase,
  bootstrapTokenPhase,
  markControlPlanePhase,
  uploadCertsPhase,
  uploadConfigPhase,
} from "./cluster.ts";
import type { InitContext } from "./context.ts";
import { certsPhase, controlPlanePhase, etcdPhase, kubeconfigPhase } from "./files.ts";
import { kubeletFinalizePhase, kubeletStartPhase } from "./kubelet.ts";
import { waitControlPlanePhase } from "./wait.ts";

const preflightPhase: Phase<InitContext> = {
  name: "preflight",
  short: "Run pre-flight checks",
  live: true,
  flags: ["cri-socket", "image-repository"],
  run: async (ctx) => {
    ctx.ui.step("preflight", "Running pre-flight checks");
    verifyBundle(ctx);
    // Files for another root will run on another host; what this one lacks says nothing about it.
    const elsewhere = ctx.options.rootfs !== "/";
    const ignored = elsewhere ? new Set(["all"]) : ctx.options.ignorePreflightErrors;
    warnOfUnknown(INIT_CHECKS, ignored, ctx.ui);
    await runChecks(INIT_CHECKS, ctx, ctx.ui, ignored);
  },
};

const showJoinCommandPhase: Phase<InitContext> = {
  name: "show-join-command",
  short: "Show the join command for control-plane and worker node",
  flags: ["skip-token-print", "skip-certificate-key-print"],
  run: (ctx) => {
    const { command, controlPlane } = joinCommands(ctx);
    const admin = `${KUBERNETES_DIR}/admin.conf`;
    ctx.ui.print(`
Your Kubernetes control-plane has ${ctx.outcome("initialized successfully", "not been touched: this was a dry run")}!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i ${admin} $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=${admin}
${controlPlane ? `\nYou can now join any number of control-plane nodes by running the following command on each as root:\n\n  ${controlPlane}\n` : ""}
Then you can join any number of worker nodes by running the following on each as root:

  ${command}`);
  },
};

/** The commands that join a worker and, when the certificates were uploaded, a control plane. */
export function joinCommands(ctx: InitContext): { command: string; controlPlane?: string } {
  const ca = ctx.pki.certificate("ca");
  if (!ca)
    throw new KubestickError(`${ctx.pki.path("ca.crt")} is not there`, {
      hint: "run first: kubestick init phase certs ca",
    });
  const token = ctx.options.skipTokenPrint ? "<value withheld>" : ctx.config.bootstrapTokens[0]!.token;
  const command = joinCommand(ctx.clusterServer, token, [caPin(ca)]);
  if (!ctx.options.uploadCerts || !ctx.certificateKey) return { command };
  const key = ctx.options.skipCertificateKeyPrint ? "<value withheld>" : ctx.certificateKey;
  return { command, controlPlane: `${command} --control-plane --certificate-key ${key}` };
}

/** The phases of `init`: kubeadm's, in kubeadm's order, and the bundle's before all that needs it. */
export const INIT_PHASES: Phase<InitContext>[] = [
  preflightPhase,
  bundlePhase(),
  certsPhase,
  kubeconfigPhase,
  etcdPhase,
  controlPlanePhase,
  kubeletStartPhase,
  waitControlPlanePhase,
  uploadConfigPhase,
  uploadCertsPhase,
  markControlPlanePhase,
  bootstrapTokenPhase,
  kubeletFinalizePhase,
  addonPhase,
  showJoinCommandPhase,
];
