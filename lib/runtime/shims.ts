import * as fs from "node:fs";
import { basename } from "node:path";
import { processIds, readSystemFile } from "../host/system-files.ts";

/** The containerd namespace of the CRI plugin. */
const CRI_NAMESPACE = "k8s.io";

/**
 * The process ids of the CRI's shims that containerd has lost, each followed by all that it started. A kubelet that ends
 * while a container is being made makes containerd forget the shim (containerd 2.1, seen under load), which then runs on
 * with a runc that waits for ever. Its working directory, the pod's bundle, is removed by then; a shim that containerd
 * knows, of whatever client, has its own.
 */
export function lostShims(criSocket: string): number[] {
  const socket = criSocket.replace(/^unix:\/\//, "");
  const parents = new Map<number, number>();
  const lost: number[] = [];
  for (const pid of processIds().map(Number)) {
    // The program's name, in parentheses, may hold blanks (proc_pid_stat(5)).
    const parent = /^.*\) \S (\d+)/.exec(readSystemFile(`/proc/${pid}/stat`))?.[1];
    if (parent) parents.set(pid, Number(parent));
    const [program = "", ...words] = readSystemFile(`/proc/${pid}/cmdline`).split("\0");
    const flag = (flagName: string) => words[words.indexOf(flagName) + 1];
    const ofCri = flag("-namespace") === CRI_NAMESPACE && flag("-address") === socket;
    if (basename(program).startsWith("containerd-shim") && ofCri && inRemovedDirectory(pid)) lost.push(pid);
  }
  const withChildren = (pid: number): number[] => [
    pid,
    ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => withChildren(child)),
  ];
  return lost.flatMap(withChildren);
}

function inRemovedDirectory(pid: number): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`).endsWith(" (deleted)");
  } catch {
    // It has ended.
    return false;
  }
}
