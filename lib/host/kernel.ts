import * as fs from "node:fs";
import { reason } from "../errors.ts";
import { tryRun } from "./process.ts";
import { readSystemFile } from "./system-files.ts";

/** Modules that containers and kube-proxy need, where they are not built in. */
export const MODULES = ["overlay", "br_netfilter"];

/** Kernel settings of every node (Kubernetes' container runtime prerequisites), by their names in sysctl(8). */
export function nodeSysctls(families: (4 | 6)[]): Record<string, string> {
  return {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    ...(families.includes(6) ? { "net.ipv6.conf.all.forwarding": "1", "net.ipv6.conf.default.forwarding": "1" } : {}),
  };
}

const path = (name: string) => `/proc/sys/${name.replaceAll(".", "/")}`;

/** Loads a module unless it is there; says why when it cannot. A kernel without modules has it built in or not at all. */
export function loadModule(name: string): string | undefined {
  if (fs.existsSync(`/sys/module/${name}`)) return undefined;
  if (name === "overlay" && /\boverlay\b/.test(readSystemFile("/proc/filesystems"))) return undefined;
  if (name === "br_netfilter" && fs.existsSync(path("net.bridge.bridge-nf-call-iptables"))) return undefined;
  const out = tryRun("modprobe", [name]);
  if (out.status === 0) return undefined;
  return out.status === 127
    ? "there is no modprobe"
    : out.stderr.trim().split("\n").at(-1) || `exit code ${out.status}`;
}

/** A kernel setting by its name in sysctl(8); empty where the kernel has no such setting. */
export const getSysctl = (name: string): string => readSystemFile(path(name)).trim();

/** Sets a kernel setting unless it has the value already; says why when it cannot. */
export function setSysctl(name: string, value: string): string | undefined {
  if (getSysctl(name) === value) return undefined;
  try {
    fs.writeFileSync(path(name), value);
    return undefined;
  } catch (error) {
    return reason(error);
  }
}
