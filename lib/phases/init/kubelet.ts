import { networksOf } from "../../cluster/network.ts";
import { FLAT } from "../../constants/network.ts";
import { KUBELET_CLIENT_CURRENT, KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import { rotatingKubeconfig } from "../../kubelet/kubeconfig.ts";
import { chooseNodeIp } from "../../kubelet/node-ip.ts";
import { startKubelet } from "../kubelet-start.ts";
import { holdPods } from "../network.ts";
import type { Phase } from "../runner.ts";
import type { InitContext } from "./context.ts";

/** init's phase `kubelet-start` (kubeadm phases/init/kubelet.go). */
export const kubeletStartPhase: Phase<InitContext> = {
  name: "kubelet-start",
  short: "Write kubelet settings and (re)start the kubelet",
  flags: ["cri-socket", "node-name", "patches"],
  live: true,
  run: async (ctx) => {
    if (ctx.options.network === FLAT) holdPods(ctx);
    await startKubelet(ctx, ctx.config.nodeRegistration, (await ctx.kubelet()).local, {
      nodeIp: async () => chooseNodeIp(ctx.facts, ctx.families, ctx.config.localAPIEndpoint.advertiseAddress),
      serviceRanges: networksOf(ctx.config.cluster).serviceRanges,
    });
  },
};

/**
 * init's phase `kubelet-finalize`: kubelet.conf names the certificate that the kubelet renews itself, in place of the
 * first one (kubeadm phases/init/kubeletfinalize.go).
 */
export const kubeletFinalizePhase: Phase<InitContext> = {
  name: "kubelet-finalize",
  short: "Updates settings relevant to the kubelet after TLS bootstrap",
  live: true,
  children: [
    {
      name: "enable-client-cert-rotation",
      short: "Enable kubelet client certificate rotation",
      live: true,
      flags: ["cert-dir"],
      run: async (ctx) => {
        if ((await ctx.kubelet()).local["rotateCertificates"] !== true) {
          ctx.ui.step(
            "kubelet-finalize",
            "The kubelet does not rotate its certificate (rotateCertificates); its kubeconfig is left as it is",
          );
          return;
        }
        const text = ctx.files.readText(KUBELET_KUBECONFIG);
        if (text === undefined)
          throw new KubestickError(`${KUBELET_KUBECONFIG} is not there`, {
            hint: "run first: kubestick init phase kubeconfig kubelet",
          });
        if (!ctx.waiting.made(ctx.files.exists(KUBELET_CLIENT_CURRENT))) {
          throw new KubestickError(`the kubelet has not written ${KUBELET_CLIENT_CURRENT}`, {
            hint: `look at its log: ${ctx.services.logCommand("kubelet")}`,
          });
        }
        const current = readKubeconfig(text, KUBELET_KUBECONFIG, (file) => ctx.files.readText(file) ?? "");
        const { cluster, nodeRegistration } = ctx.config;
        const rotating = rotatingKubeconfig(cluster.clusterName, nodeRegistration.name, current.server, current.ca);
        if (text === rotating) return;
        ctx.ledger.replace(KUBELET_KUBECONFIG, rotating, { mode: 0o600, secret: true });
        ctx.ui.step(
          "kubelet-finalize",
          `Updating "${KUBELET_KUBECONFIG}" to point to a rotatable kubelet client certificate and key`,
        );
        await ctx.services.restart("kubelet");
      },
    },
  ],
};
