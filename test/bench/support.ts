import { readSystemFile } from "../../lib/host/system-files.ts";
import { hasBinary } from "../support/binaries.ts";
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

/** Runs a command in a node. Throws with its output when it fails. */
export function measure(node: TestNode, command: string[]): Promise<Measurement> {
  return measureHere(node.command(command));
}

/** Runs a command on this machine. Throws with its output when it fails. */
export async function measureHere(command: string[], env?: Record<string, string>): Promise<Measurement> {
  const started = performance.now();
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe", ...(env ? { env } : {}) });
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  // The kernel's own maximum would count this process too, from before the child's exec.
  let peakMiB = 0;
  const watch = setInterval(() => {
    // In a node the command is nsenter's child.
    const children = readSystemFile(`/proc/${child.pid}/task/${child.pid}/children`).split(" ").filter(Boolean);
    peakMiB = Math.max(peakMiB, ...[child.pid, ...children].map((pid) => highWaterMiB(Number(pid))));
  }, 5);
  const code = await child.exited;
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command.join(" ")} failed:\n${(await output).join("\n")}`);
  return { seconds, peakMiB };
}

/** The most memory that a process has had so far, nsenter's own exec included (proc_pid_status(5), VmHWM). */
function highWaterMiB(pid: number): number {
  return Number(/^VmHWM:\s*(\d+)/m.exec(readSystemFile(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

/** The middle one of some values. */
export const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Prints both sides' medians and the median of the pairs' ratios. */
export function reportPairs(title: string, own: Measurement[], peer: string, theirs: Measurement[]): void {
  const seconds = (side: Measurement[]) => median(side.map((m) => m.seconds)).toFixed(3);
  const ratio = median(own.map((m, i) => m.seconds / theirs[i]!.seconds));
  const peak = (side: Measurement[]) => Math.max(...side.map((m) => m.peakMiB)).toFixed(0);
  console.log(
    `${title}: kubestick ${seconds(own)} s (peak ${peak(own)} MiB), ${peer} ${seconds(theirs)} s (peak ${peak(theirs)} MiB), ratio ${ratio.toFixed(2)} over ${own.length} pairs`,
  );
}
