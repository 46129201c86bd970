import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InitConfig } from "../../lib/config/init-config.ts";
import { initConfig } from "../../lib/config/init-config.ts";
import { parseConfig } from "../../lib/config/load.ts";
import type { HostFacts } from "../../lib/host/facts.ts";
import { parseResolvConf } from "../../lib/host/resolv-conf.ts";

/** A host like the reference's: cgroup v1, no swap, a nameserver that pods can reach. */
export const FACTS: HostFacts = {
  hostname: "cp1",
  arch: "amd64",
  root: true,
  cpus: 4,
  memoryBytes: 8 * 1024 ** 3,
  cgroupVersion: 2,
  cgroupRoot: undefined,
  swap: false,
  serviceManager: "none",
  addresses: [{ interface: "eth0", address: "10.99.0.11", family: 4 }],
  defaultInterface: "eth0",
  resolvConfs: [parseResolvConf("/etc/resolv.conf", "nameserver 10.0.0.1\n")],
  capSysResource: true,
  conntrack: { max: true, timeouts: true },
  now: new Date("2026-11-24T08:47:27Z"),
  mountinfo: "28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n",
  kernel: {
    release: "6.12.34+rpt-rpi-2712",
    cmdline: "console=tty1 root=PARTUUID=4d8097e2-02 rootwait cgroup_enable=memory",
    config: new Map(),
    modules: new Set(["overlay", "br_netfilter"]),
    modulesListed: false,
    controllers: ["cpuset", "cpu", "io", "memory", "pids"],
    bootFile: undefined,
  },
  security: { selinux: { enforcing: false, containers: false }, apparmor: { enabled: false, parser: false } },
};

/** A configuration read from text, with fixed defaults. Throws ConfigError. */
export function configFrom(text: string, file = "test.yaml"): InitConfig {
  return initConfig(parseConfig(text, file), {
    hostname: () => "cp1",
    advertiseAddress: (family) => (family === 6 ? "fd00:99::11" : "10.99.0.11"),
    newToken: () => "abcdef.0123456789abcdef",
  });
}

/** The smallest configuration. */
export const MINIMAL =
  "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {podSubnet: 10.244.0.0/16}\n";

/** A file of what real kubeadm v1.36.2 wrote, kept with the tests. */
export function reference(name: string): string {
  return readFileSync(join(import.meta.dir, "../data/kubeadm-v1.36.2", name), "utf8");
}
