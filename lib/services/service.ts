import { AGENT_SERVICE } from "../constants/network.ts";
import { KUBELET_FLAGS_FILE } from "../constants/paths.ts";
import { KUBELET_BASE_ARGS } from "../kubelet/flags.ts";

/** A program that a host keeps running. */
export interface ServiceSpec {
  name: string;
  description: string;
  program: string;
  args: string[];
  /** Its environment, beside PATH. */
  env?: Record<string, string>;
  /** A file with more flags in a shell variable, read at each start: kubeadm-flags.env. */
  flagsFile?: { path: string; variable: string };
  /** More settings of a systemd unit's [Service] section. */
  systemd?: string[];
  /** Services that must run before it. */
  after?: string[];
}

/** How a host's service manager is told to run a service. */
export interface ServiceManagerControl {
  /** What it is, for messages. */
  readonly name: string;
  /**
   * Makes the service known and enabled; leaves a definition that somebody else made alone. Returns whether the
   * definition is new or changed.
   */
  install(spec: ServiceSpec): boolean;
  /** Starts it, or starts it anew so that it reads its configuration again. */
  restart(name: string): Promise<void>;
  stop(name: string): Promise<void>;
  /** Stops it and takes away the definition that `install` made; one that somebody else made stays, and is only stopped. */
  remove(name: string): Promise<void>;
  isActive(name: string): boolean;
  /** The command that shows its log. */
  logCommand(name: string): string;
}

/** Stands in every definition that kubestick writes, to know it again. */
export const WRITTEN_HERE = "# Written by kubestick.";

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
