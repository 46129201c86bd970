import { networksOf } from "../../cluster/network.ts";
import { FLAT } from "../../constants/network.ts";
import {
  KUBELET_CONFIG_FILE,
  KUBELET_FLAGS_FILE,
  KUBELET_INSTANCE_CONFIG_FILE,
  KUBELET_KUBECONFIG,
  OWN_RESOLV_CONF,
} from "../../constants/paths.ts";
import { chooseNodeIp } from "../../kubelet/node-ip.ts";
import { startKubelet } from "../kubelet.ts";
import { holdPods } from "../node-agent.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

/** init's phase `kubelet-start` (kubeadm phases/init/kubelet.go). */
export const kubeletStartPhase: Phase<Init> = {
  name: "kubelet-start",
  short: "Write kubelet settings and (re)start the kubelet",
  flags: ["cri-socket", "node-name", "patches"],
  live: true,
  inputs: [KUBELET_KUBECONFIG, "service containerd"],
  outputs: [
    KUBELET_FLAGS_FILE,
    KUBELET_INSTANCE_CONFIG_FILE,
    KUBELET_CONFIG_FILE,
    OWN_RESOLV_CONF,
    "routes to Services",
    "service kubelet",
  ],
  run: async ({ node, cp, asked }, step) => {
    if (asked.network === FLAT) holdPods(node, step);
    const { config } = cp;
    const start = {
      registration: config.nodeRegistration,
      config: (await cp.kubelet()).local,
      nodeIp: async () => chooseNodeIp(node.facts, node.families, config.localAPIEndpoint.advertiseAddress),
      serviceRanges: networksOf(config.cluster).serviceRanges,
    };
    await startKubelet(node, start, step);
  },
};
