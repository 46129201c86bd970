import { AGENT_SERVICE } from "../constants/network.ts";
import { KUBELET_FLAGS_FILE } from "../constants/paths.ts";
import type { ServiceSpec } from "../services/service.ts";
import { KUBELET_BASE_ARGS } from "./flags.ts";

/** The kubelet as a service, with kubeadm's flags and files. */
export function kubeletService(program: string): ServiceSpec {
  return {
    name: "kubelet",
    description: "kubelet: The Kubernetes Node Agent",
    program,
    args: KUBELET_BASE_ARGS,
    flagsFile: { path: KUBELET_FLAGS_FILE, variable: "KUBELET_KUBEADM_ARGS" },
    // The agent puts a clock that stands in the past forward.
    after: ["containerd", AGENT_SERVICE],
  };
}
