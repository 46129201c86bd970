import * as fs from "node:fs";
import { join } from "node:path";
import { processIds, readSystemFile } from "./system-files.ts";

const CGROUPS = "/sys/fs/cgroup";

/** The inode of the process namespace that the kernel starts with (include/linux/proc_ns.h, PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/** The version of control groups that this kernel's processes are in. */
export const cgroupVersion = (): 1 | 2 => (fs.existsSync(`${CGROUPS}/cgroup.controllers`) ? 2 : 1);

/** Whether other kubelets run on this kernel, or may, unseen: nodes that are namespaces share its cgroups. */
export function sharesKernel(): boolean {
  return fs.readlinkSync("/proc/self/ns/pid") !== FIRST_PID_NAMESPACE || otherKubeletRuns();
}

/** Whether a kubelet of another network namespace runs on this kernel. */
function otherKubeletRuns(): boolean {
  const own = namespaceOf("self");
  return processIds()
    .filter((pid) => readSystemFile(`/proc/${pid}/comm`).trim() === "kubelet")
    .some((pid) => {
      const theirs = namespaceOf(pid);
      return theirs !== undefined && theirs !== own;
    });
}

function namespaceOf(pid: string): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    // It has ended, or is not ours to look at.
    return undefined;
  }
}

/** Every hierarchy of cgroups: one with version 2; one a controller with version 1, and perhaps systemd's of version 2 beside them. */
function hierarchies(version: 1 | 2): string[] {
  return version === 2 ? [CGROUPS] : mountedHierarchies(readSystemFile("/proc/self/mounts"));
}

/**
 * Where the hierarchies are mounted that are not one for all, out of /proc/self/mounts (proc_mounts(5)). Directories alone
 * tell nothing: systemd makes one for controllers it would join (`cpu,cpuacct`), and leaves it when they stand apart.
 * systemd's "hybrid" layout has one of version 2 beside those of version 1; runc puts containers into that one too.
 */
export function mountedHierarchies(mounts: string): string[] {
  const found = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, path, type]) => (type === "cgroup" || type === "cgroup2") && path?.startsWith(`${CGROUPS}/`))
    .map(([, path]) => path!);
  return [...new Set(found)];
}

/** Makes a kubelet's cgroup root in every hierarchy: the kubelet refuses one that is not there. */
export function makeCgroupRoot(root: string, version: 1 | 2): void {
  for (const hierarchy of hierarchies(version)) {
    const path = join(hierarchy, root);
    fs.mkdirSync(path, { recursive: true });
    // A cpuset of version 1 takes nobody in before it has processors and memory.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const parent = readSystemFile(join(hierarchy, file));
      if (version === 1 && parent.trim() !== "" && readSystemFile(join(path, file)).trim() === "")
        fs.writeFileSync(join(path, file), parent);
    }
  }
}

/** Removes a cgroup root and what is empty below it; a cgroup with processes stays. */
export function removeCgroupRoot(root: string, version: 1 | 2): void {
  for (const hierarchy of hierarchies(version)) removeEmpty(join(hierarchy, root));
}

function removeEmpty(path: string): void {
  try {
    for (const entry of fs.readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeEmpty(join(path, entry.name));
    fs.rmdirSync(path);
  } catch {
    // It is not there, or a process is in it.
  }
}
