import { USER_NODE_PREFIX } from "../../constants/names.ts";
import {
  EMPTY_RESOLV_CONF,
  KUBELET_CLIENT_CURRENT,
  KUBELET_CONFIG_FILE,
  KUBELET_FLAGS_FILE,
  KUBELET_INSTANCE_CONFIG_FILE,
  KUBELET_KUBECONFIG,
  KUBELET_RESTART_MARK,
} from "../../constants/paths.ts";
import { KubestickError } from "../../host/errors.ts";
import { findProgram } from "../../host/facts.ts";
import { kubeconfig, readKubeconfig, toYaml } from "../../kubeconfig/kubeconfig.ts";
import { kubeletFlags } from "../../kubelet/flags.ts";
import { applyPatches, sortedYaml } from "../../manifests/patches.ts";
import { kubeletService } from "../../services/service.ts";
import type { Phase } from "../runner.ts";
import type { InitContext } from "./context.ts";

/**
 * init's phase `kubelet-start`: the kubelet's flags and configuration, then the service (kubeadm phases/init/kubelet.go).
 * The CRI socket is this node's own and stays out of the cluster's ConfigMap (feature NodeLocalCRISocket).
 */
export const kubeletStartPhase: Phase<InitContext> = {
  name: "kubelet-start",
  short: "Write kubelet settings and (re)start the kubelet",
  flags: ["cri-socket", "node-name", "patches"],
  run: async (ctx) => {
    const { config, ledger, ui } = ctx;
    const node = config.nodeRegistration;
    const kubelet = (await ctx.kubelet()).local;
    if (kubelet["resolvConf"] === EMPTY_RESOLV_CONF) {
      // A file with no option at all makes containerd fall back to the host's own resolv.conf.
      const text =
        "# Written by kubestick: this host has no nameserver that pods could use.\noptions timeout:1 attempts:1\n";
      ledger.write(EMPTY_RESOLV_CONF, text, { mode: 0o644 });
    }
    const instance = {
      apiVersion: kubelet["apiVersion"],
      kind: kubelet["kind"],
      containerRuntimeEndpoint: node.criSocket,
    };
    const local = applyPatches(
      { ...kubelet, containerRuntimeEndpoint: node.criSocket },
      "kubeletconfiguration",
      ctx.patches,
    );
    const wanted: [string, string][] = [
      [KUBELET_FLAGS_FILE, kubeletFlags(node, ctx.facts.hostname, false)],
      [KUBELET_INSTANCE_CONFIG_FILE, sortedYaml(instance)],
      [KUBELET_CONFIG_FILE, sortedYaml(local)],
    ];
    // The mark outlives a crash between writing and restarting, so that a kubelet never goes on with an old configuration.
    if (wanted.some(([path, text]) => ctx.files.readText(path) !== text)) ctx.files.write(KUBELET_RESTART_MARK, "");
    // The kubelet package leaves a default configuration at this path, which kubeadm replaces as well.
    for (const [path, text] of wanted) ledger.replace(path, text, { mode: 0o644 });
    ui.step("kubelet-start", `Writing kubelet environment file with flags to file "${KUBELET_FLAGS_FILE}"`);
    ui.step("kubelet-start", `Writing kubelet configuration to file "${KUBELET_CONFIG_FILE}"`);
    if (ctx.options.dryRun) {
      ctx.files.remove(KUBELET_RESTART_MARK);
      ui.step("kubelet-start", `Would start the kubelet under ${ctx.services.name}`);
      return;
    }
    const program = findProgram("kubelet");
    if (!program) {
      throw new KubestickError("there is no kubelet on this host (looked in PATH)", {
        hint: "install the kubelet of the version shown by: kubestick version",
      });
    }
    const installed = ctx.services.install(kubeletService(program));
    if (!installed && !ctx.files.exists(KUBELET_RESTART_MARK) && ctx.services.isActive("kubelet")) {
      ui.step("kubelet-start", "The kubelet already runs with this configuration");
      return;
    }
    await ctx.services.restart("kubelet");
    ctx.files.remove(KUBELET_RESTART_MARK);
    ui.step("kubelet-start", `Starting the kubelet under ${ctx.services.name}`);
  },
  live: true,
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
        if (!ctx.options.dryRun && !ctx.files.exists(KUBELET_CLIENT_CURRENT)) {
          throw new KubestickError(`the kubelet has not written ${KUBELET_CLIENT_CURRENT}`, {
            hint: `look at its log: ${ctx.services.logCommand("kubelet")}`,
          });
        }
        const current = readKubeconfig(text, KUBELET_KUBECONFIG, (file) => ctx.files.readText(file) ?? "");
        const user = `${USER_NODE_PREFIX}${ctx.config.nodeRegistration.name}`;
        const rotating = kubeconfig(ctx.config.cluster.clusterName, user, current.server, current.ca, {
          certificateFile: KUBELET_CLIENT_CURRENT,
          keyFile: KUBELET_CLIENT_CURRENT,
        });
        if (text === toYaml(rotating)) return;
        ctx.ledger.replace(KUBELET_KUBECONFIG, toYaml(rotating), { mode: 0o600, secret: true });
        ctx.ui.step(
          "kubelet-finalize",
          `Updating "${KUBELET_KUBECONFIG}" to point to a rotatable kubelet client certificate and key`,
        );
        if (!ctx.options.dryRun) await ctx.services.restart("kubelet");
      },
    },
  ],
};
