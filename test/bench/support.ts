import { componentVersions, hasBinary } from "../support/binaries.ts";
import type { TestNode } from "../support/node.ts";

/** One run: wall time in seconds, and the process's peak resident memory in MiB. */
export interface Measurement {
  seconds: number;
  peakMiB: number;
}

/** Why there is nothing to compare with; undefined when there is. */
export function missingKubeadm(): string | undefined {
  return hasBinary("kubeadm") ? undefined : "there is no kubeadm to compare with";
}

/** The same cluster as a test node's, in the configuration version that the kubeadm at hand reads. */
export function kubeadmConfig(node: TestNode): string {
  const { kubernetes, etcdTag, supported } = componentVersions();
  const apiVersion = `kubeadm.k8s.io/${supported ? "v1beta4" : "v1beta2"}`;
  return `apiVersion: ${apiVersion}
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef}]
nodeRegistration: {name: ${node.name}, criSocket: ${supported ? "unix://" : ""}/run/containerd/containerd.sock}
localAPIEndpoint: {advertiseAddress: ${node.ip}}
---
apiVersion: ${apiVersion}
kind: ClusterConfiguration
kubernetesVersion: ${kubernetes}
imageRepository: registry.k8s.io
networking: {podSubnet: 10.244.0.0/16}
etcd: {local: {imageTag: ${etcdTag}, dataDir: /var/lib/etcd}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupRoot: /${node.cgroup}
cgroupDriver: cgroupfs
${supported ? "failCgroupV1: false\n" : ""}failSwapOn: false
resolvConf: /etc/resolv.conf
`;
}

/** Runs a command in a node. Throws with its output when it fails. */
export async function measure(node: TestNode, command: string[]): Promise<Measurement> {
  const started = performance.now();
  const child = Bun.spawn(node.command(command), { stdout: "pipe", stderr: "pipe", env: node.env });
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${command.join(" ")} failed:\n${(await output).join("\n")}`);
  return { seconds, peakMiB: (child.resourceUsage()?.maxRSS ?? 0) / 1024 / 1024 };
}

/** Prints both sides' medians and the median of the pairs' ratios. */
export function report(title: string, pairs: { kubestick: Measurement[]; kubeadm: Measurement[] }): void {
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
  const seconds = (side: Measurement[]) => median(side.map((m) => m.seconds));
  const ratio = median(pairs.kubestick.map((m, i) => m.seconds / pairs.kubeadm[i]!.seconds));
  const peak = (side: Measurement[]) => Math.max(...side.map((m) => m.peakMiB));
  console.log(
    `${title}: kubestick ${seconds(pairs.kubestick).toFixed(3)} s (peak ${peak(pairs.kubestick).toFixed(0)} MiB), kubeadm ${seconds(pairs.kubeadm).toFixed(3)} s (peak ${peak(pairs.kubeadm).toFixed(0)} MiB), ratio ${ratio.toFixed(2)} over ${pairs.kubestick.length} pairs`,
  );
}
