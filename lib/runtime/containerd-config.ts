import type { HostFacts } from "../host/facts.ts";

/** What containerd's configuration depends on. */
export interface ContainerdSettings {
  /** containerd's own version: 2 and later read another layout than 1. */
  major: number;
  /** The pinned sandbox (pause) image; containerd's default where it is undefined. */
  sandboxImage: string | undefined;
  systemdCgroup: boolean;
  /** For hosts that may not lower a process' oom_score_adj: runc dies there without it. */
  restrictOomScoreAdj: boolean;
  cniBinDir: string;
  certsDir: string;
}

/** Whether containers' cgroups are systemd's to make: where it runs and the kernel has cgroup v2. */
export const usesSystemdCgroup = (facts: Pick<HostFacts, "serviceManager" | "cgroupVersion">): boolean =>
  facts.serviceManager === "systemd" && facts.cgroupVersion === 2;

const text = (value: string) => JSON.stringify(value);

/**
 * containerd's config.toml for Kubernetes: version 2 for containerd 1.6 and 1.7, version 3 for 2.x (containerd
 * docs/cri/config.md). Only what differs from containerd's own defaults is set.
 */
export function containerdConfig(settings: ContainerdSettings): string {
  const { sandboxImage, systemdCgroup, restrictOomScoreAdj, cniBinDir, certsDir } = settings;
  const head = "# Written by kubestick.\n";
  const oom = restrictOomScoreAdj ? "  restrict_oom_score_adj = true\n" : "";
  if (settings.major < 2) {
    return `${head}version = 2

[plugins."io.containerd.grpc.v1.cri"]
${sandboxImage ? `  sandbox_image = ${text(sandboxImage)}\n` : ""}${oom}
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = ${text(cniBinDir)}
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = ${text(certsDir)}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = ${systemdCgroup}
`;
  }
  return `${head}version = 3

[plugins."io.containerd.cri.v1.runtime"]
${oom}
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [${text(cniBinDir)}]
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = ${systemdCgroup}
${sandboxImage ? `\n[plugins."io.containerd.cri.v1.images".pinned_images]\n  sandbox = ${text(sandboxImage)}\n` : ""}
[plugins."io.containerd.cri.v1.images".registry]
  config_path = ${text(certsDir)}
`;
}

/** A registry's hosts.toml: its mirror first (containerd docs/hosts.md). */
export function mirrorConfig(host: string, mirror: string): string {
  const server = host === "_default" ? "" : `server = ${text(`https://${host}`)}\n\n`;
  return `# Written by kubestick.\n${server}[host.${text(mirror)}]\n  capabilities = ["pull", "resolve"]\n`;
}
