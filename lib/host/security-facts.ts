import { existsSync, readdirSync } from "node:fs";
import { readSystemFile } from "./system-files.ts";

/** What a host's mandatory access control looks like. */
export interface SecurityFacts {
  selinux: {
    enforcing: boolean;
    /** Whether the policy knows containers (the package container-selinux). */
    containers: boolean;
  };
  apparmor: { enabled: boolean; parser: boolean };
}

/** What container-selinux leaves: contexts for engines, and its module in the policy's store, new and old. */
const CONTAINER_POLICY = [
  "/usr/share/containers/selinux/contexts",
  "/var/lib/selinux/*/active/modules/*/container",
  "/etc/selinux/*/modules/active/modules/container.pp",
];

/** Reads this host's. */
export function readSecurityFacts(): SecurityFacts {
  const enforcing = readSystemFile("/sys/fs/selinux/enforce").trim() === "1";
  return {
    selinux: { enforcing, containers: enforcing && CONTAINER_POLICY.some((pattern) => isThere(pattern)) },
    apparmor: {
      // As containerd asks (pkg/apparmor).
      enabled:
        existsSync("/sys/kernel/security/apparmor") &&
        readSystemFile("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
      parser: existsSync("/sbin/apparmor_parser"),
    },
  };
}

/** Whether something is at a path, of which `*` stands for any one name. */
function isThere(pattern: string, below = ""): boolean {
  const star = pattern.indexOf("/*");
  if (star < 0) return existsSync(below + pattern);
  const directory = below + pattern.slice(0, star);
  return list(directory).some((name) => isThere(pattern.slice(star + 2), `${directory}/${name}`));
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
