import type { ServiceSpec } from "../services/service.ts";

/** containerd as a service, as its own containerd.service has it. */
export function containerdService(program: string): ServiceSpec {
  return {
    name: "containerd",
    description: "containerd container runtime",
    program,
    args: [],
    systemd: [
      "ExecStartPre=-/sbin/modprobe overlay",
      "Type=notify",
      "Delegate=yes",
      "KillMode=process",
      "LimitNPROC=infinity",
      "LimitCORE=infinity",
      "TasksMax=infinity",
      "OOMScoreAdjust=-999",
    ],
  };
}
