import type { Output } from "../../lib/host/process.ts";
import { PAUSE_IMAGE } from "./binaries.ts";

/** What kubectl runs a pod that only waits on a certain node with, whatever taints that has; its name is the node's after `p-`. */
export function runPodOn(node: string): string[] {
  const spec = { nodeName: node, tolerations: [{ operator: "Exists" }], terminationGracePeriodSeconds: 0 };
  const flags = [`--image=${PAUSE_IMAGE}`, "--image-pull-policy=Never", `--overrides=${JSON.stringify({ spec })}`];
  return ["run", `p-${node}`, ...flags];
}

/** A node and the address of a pod on it. */
export interface PodHost {
  name: string;
  podIp: string;
  exec(command: string[], timeoutMs: number): Output;
}

/** The command of a node that runs one of its programs in a pod's network, found by the pod's address. */
export function inPod(host: PodHost, ...command: string[]): string[] {
  const find = `for f in /run/netns/cni-*; do nsenter --net=$f ip -4 -o addr 2>/dev/null | grep -q ' ${host.podIp}/' && echo $f; done`;
  const found = host.exec(["bash", "-c", find], 10_000).stdout.trim().split("\n")[0];
  if (!found) throw new Error(`no network namespace of ${host.name} has ${host.podIp}`);
  return ["nsenter", `--net=${found}`, ...command];
}

/** What becomes of a connection out of a pod: an answer of any kind means that packets go there and back. */
export function connect(host: PodHost, to: string, port: number): string {
  const out = host.exec(inPod(host, "timeout", "3", "bash", "-c", `exec 3<>/dev/tcp/${to}/${port}`), 10_000);
  if (out.status === 0) return "connected";
  return out.stderr.includes("refused") ? "refused" : `nothing: ${out.stderr.trim()}`;
}
