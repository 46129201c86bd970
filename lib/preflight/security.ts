import type { SecurityFacts } from "../host/security-facts.ts";
import { compareVersions, parseVersion } from "../util/version.ts";
import { error, type Finding, warning } from "./check.ts";

/** SELinux stops containers that its policy does not know. */
export function verifySelinux({ selinux }: SecurityFacts): Finding[] {
  return selinux.enforcing && !selinux.containers
    ? error(
        "SELinux is enforcing, and its policy knows no containers: they are denied their own files",
        "install container-selinux (dnf install container-selinux), or let SELinux only warn: setenforce 0, and SELINUX=permissive in /etc/selinux/config",
      )
    : [];
}

/** The first containerd that does without apparmor_parser (containerd#8086): of 1.6, and every later one. */
const WITHOUT_PARSER = "v1.6.17";

/** containerd loads its AppArmor profile with apparmor_parser; older ones fail every container without that. */
export function verifyApparmor({ apparmor }: SecurityFacts, containerd: string | undefined): Finding[] {
  if (!apparmor.enabled || apparmor.parser) return [];
  const version = containerd === undefined ? undefined : parseVersion(containerd);
  const fix = "install the package apparmor, or start the kernel with apparmor=0";
  return version && compareVersions(version, parseVersion(WITHOUT_PARSER)!) < 0
    ? error(
        `AppArmor is on, there is no /sbin/apparmor_parser, and containerd ${containerd} then starts no container`,
        fix,
      )
    : warning(
        "AppArmor is on, but there is no /sbin/apparmor_parser: pods run without a profile, and one that asks for a profile does not start",
        fix,
      );
}
