import { getSysctl, nodeSysctls, setSysctl } from "../host/kernel.ts";
import { tryRun } from "../host/process.ts";
import type { Say } from "../ui/ui.ts";

/** A kernel setting by its name in sysctl(8), the value that it had, and the one that kubestick gave it. */
export type ChangedSysctl = [name: string, values: { before: string; value: string }];

/** Networks of others on this host, by their bridges: Docker's, podman's, libvirt's. */
function otherBridges(): string[] {
  const { status, stdout } = tryRun("ip", ["-o", "link", "show", "type", "bridge"]);
  return status === 0 ? [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1]!) : ["a network of others"];
}

/** Gives the kernel's settings their former values, where they still have those that kubestick gave them. */
export function restoreSysctls(sysctls: ChangedSysctl[], say: Say, warn: Say): void {
  const known = Object.keys(nodeSysctls([4, 6]));
  for (const [name, { before, value }] of sysctls) {
    if (!known.includes(name) || before === value || getSysctl(name) !== value) continue;
    const others = otherBridges();
    if (others.length > 0) {
      say(`${name} stays ${value}, and was ${before}: ${others.join(", ")} may need it`);
      continue;
    }
    const why = setSysctl(name, before);
    if (why) warn(`cannot set ${name} back to ${before}: ${why}`);
    else say(`Set ${name} back to ${before}`);
  }
}
