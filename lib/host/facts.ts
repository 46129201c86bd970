import * as fs from "node:fs";
import * as os from "node:os";
import { delimiter, join } from "node:path";
import { CGROUP_ROOT_PREFIX, KUBELET_CONFIG_FILE, PROGRAM_PATH } from "../constants/paths.ts";
import { UsageError } from "../errors.ts";
import { type Cidr, formatIp, isDnsSubdomain, parseCidr } from "../net/ip.ts";
import { cgroupVersion, sharesKernel } from "./cgroups.ts";
import { isWritable } from "./file-system.ts";
import type { Files } from "./files.ts";
import { type KernelFacts, readKernelFacts } from "./kernel-facts.ts";
import { type ResolvConf, readResolvConfs } from "./resolv-conf.ts";
import { parseRoutes } from "./routes.ts";
import { readSecurityFacts, type SecurityFacts } from "./security-facts.ts";
import { readSystemFile } from "./system-files.ts";

/** Which program starts services on a host; `none` where nothing does. */
export type ServiceManager = "systemd" | "openrc" | "none";

/** An address of this host that other hosts can reach. */
export interface HostAddress {
  interface: string;
  address: string;
  family: 4 | 6;
}

/** An address of this host, and the network that its interface reaches without a router. */
export interface LinkAddress extends HostAddress {
  network: Cidr;
}
/** What kubestick needs to know of a host, read once. */
export interface HostFacts {
  /** This host's own name in lower case, whatever it is; a node's name comes from requireNodeName. */
  hostname: string;
  arch: string;
  root: boolean;
  cpus: number;
  memoryBytes: number;
  cgroupVersion: 1 | 2;
  swap: boolean;
  /** The kubelet's cgroup root, where this host shares its kernel with other nodes; it stays the same once it is chosen. */
  cgroupRoot: string | undefined;
  serviceManager: ServiceManager;
  /** Addresses of interfaces that are up, loopback and link-local ones left out. */
  addresses: HostAddress[];
  /** The interface of the IPv4 default route, or else the IPv6 one; undefined where there is none. */
  defaultInterface: string | undefined;
  /** /etc/resolv.conf, and others that can name this host's nameservers. */
  resolvConfs: ResolvConf[];
  /** Whether processes may be given any limit; without it runc cannot lower a container's oom_score_adj. */
  capSysResource: boolean;
  /** Whether kube-proxy can set the conntrack table's size, and its TCP timeouts. */
  conntrack: { max: boolean; timeouts: boolean };
  now: Date;
  /** The mounts that this process sees (/proc/self/mountinfo). */
  mountinfo: string;
  /** Read when they are first asked for: a kernel's list of modules is long. */
  readonly kernel: KernelFacts;
  security: SecurityFacts;
}

/** Reads the facts of this host. `files` gives its configuration files (they can lie below another root). */
export function readFacts(files: Files): HostFacts {
  let kernel: KernelFacts | undefined;
  return {
    hostname: os.hostname().trim().toLowerCase(),
    arch: { x64: "amd64", arm64: "arm64", arm: "arm" }[process.arch as string] ?? process.arch,
    root: process.getuid?.() === 0,
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    cgroupVersion: cgroupVersion(),
    cgroupRoot: cgroupRoot(files),
    swap: readSystemFile("/proc/swaps").trim().split("\n").length > 1,
    serviceManager: serviceManager(),
    addresses: hostAddresses(),
    defaultInterface: defaultInterface(readSystemFile("/proc/net/route"), readSystemFile("/proc/net/ipv6_route")),
    resolvConfs: readResolvConfs(files),
    capSysResource: hasCapability(readSystemFile("/proc/self/status"), CAP_SYS_RESOURCE),
    conntrack: {
      max: isWritable("/proc/sys/net/netfilter/nf_conntrack_max"),
      timeouts: isWritable("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"),
    },
    now: new Date(),
    mountinfo: readSystemFile("/proc/self/mountinfo"),
    get kernel() {
      kernel ??= readKernelFacts();
      return kernel;
    },
    security: readSecurityFacts(),
  };
}

/** Number of the capability (capabilities(7), linux/capability.h). */
const CAP_SYS_RESOURCE = 24n;

/** Whether /proc/PID/status says that a capability is in effect. */
export function hasCapability(status: string, capability: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> capability) & 1n) === 1n;
}

function cgroupRoot(files: Files): string | undefined {
  const chosen = /^cgroupRoot: "?(\S+?)"?$/m.exec(files.readText(KUBELET_CONFIG_FILE) ?? "")?.[1];
  if (chosen?.startsWith(CGROUP_ROOT_PREFIX)) return chosen;
  return sharesKernel() ? `${CGROUP_ROOT_PREFIX}${os.hostname().trim().toLowerCase()}` : undefined;
}

/** The default route's interface, out of the kernel's route tables (see parseRoutes): IPv4's first, lowest metric first. */
export function defaultInterface(route: string, route6: string): string | undefined {
  const defaults = parseRoutes(route, route6).filter(({ cidr }) => cidr.bits === 0);
  return defaults.sort((a, b) => a.cidr.family - b.cidr.family || a.metric - b.metric)[0]?.interface;
}

/**
 * The address that other hosts reach this one by, of a family where that matters: that of the default route's interface
 * (as kubeadm), or, without a default route, the only one there is. Undefined when there is none, or several and nothing
 * to choose by.
 */
export function chooseAdvertiseAddress(
  facts: Pick<HostFacts, "addresses" | "defaultInterface">,
  family?: 4 | 6,
): string | undefined {
  const fitting = facts.addresses.filter((a) => family === undefined || a.family === family);
  const byFamily = fitting.sort((a, b) => a.family - b.family);
  const onDefault = byFamily.find((a) => a.interface === facts.defaultInterface);
  if (onDefault) return onDefault.address;
  const v4 = byFamily.filter((a) => a.family === 4);
  const candidates = v4.length > 0 ? v4 : byFamily;
  return candidates.length === 1 ? candidates[0]!.address : undefined;
}

/** As chooseAdvertiseAddress. Throws UsageError that says what to give when nothing can be chosen. */
export function requireAdvertiseAddress(
  facts: Pick<HostFacts, "addresses" | "defaultInterface">,
  family?: 4 | 6,
): string {
  const address = chooseAdvertiseAddress(facts, family);
  if (address) return address;
  if (family !== undefined && facts.addresses.length > 0 && !facts.addresses.some((a) => a.family === family))
    throw new UsageError(
      `the cluster's Services have IPv${family} addresses first, and this host has no IPv${family} address to advertise`,
      `give it one (ip addr add), or put an IPv${family === 4 ? 6 : 4} network first in --service-cidr (networking.serviceSubnet)`,
    );
  const found = facts.addresses.map((a) => `${a.address} (${a.interface})`).join(", ");
  throw new UsageError(
    found
      ? `this host has no default route and several addresses: ${found}`
      : "this host has no network address that others could reach",
    found
      ? "choose one with --apiserver-advertise-address"
      : "connect it and give it an address (ip addr add 10.0.0.10/24 dev eth0), or name one with --apiserver-advertise-address",
  );
}

/** What to call a node whose host has no name that can be a node's. */
const ANY_NAME = "board-1";

/** The node's name that this host's own gives. Throws UsageError, with one that could be given, where it cannot be a node's. */
export function requireNodeName({ hostname }: Pick<HostFacts, "hostname">): string {
  if (isDnsSubdomain(hostname)) return hostname;
  const near = hostname
    .split(".")
    .map((label) =>
      label
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, "")
        .slice(0, 63)
        .replace(/-+$/, ""),
    )
    .filter((label) => label !== "")
    .join(".");
  // The kernel's name for a host that nobody has named (include/linux/uts.h, UTS_NODENAME).
  const suggestion = hostname !== "(none)" && isDnsSubdomain(near) ? near : ANY_NAME;
  throw new UsageError(
    `this host's own name ${JSON.stringify(hostname)} cannot be a node's name: letters, digits, '-' and '.' can be in it, and a letter or digit at both ends`,
    `give the node a name with --node-name, such as --node-name ${suggestion}`,
  );
}

/** The full path of a program, looked up in PATH and the places where it usually is. */
export function findProgram(name: string): string | undefined {
  const path = `${process.env["PATH"] ?? ""}${delimiter}${PROGRAM_PATH}`;
  for (const dir of path.split(delimiter)) {
    if (dir === "") continue;
    const candidate = join(dir, name);
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      if (fs.statSync(candidate).isFile()) return candidate;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

/** IFA_F_TEMPORARY and IFA_F_DEPRECATED (linux/if_addr.h): a node's address must not be one that changes every day. */
const PASSING = 0x01 | 0x20;

/** The IPv6 addresses that will be gone soon, out of /proc/net/if_inet6: privacy extensions' (RFC 8981), deprecated ones. */
export function passingAddresses(ifInet6: string): Set<string> {
  const fields = ifInet6.split("\n").map((line) => line.trim().split(/\s+/));
  const passing = fields.filter((f) => f.length === 6 && (Number.parseInt(f[4]!, 16) & PASSING) !== 0);
  return new Set(passing.map((f) => formatIp(BigInt(`0x${f[0]}`), 6)));
}

/** Addresses of interfaces that are up; loopback and link-local ones, passing ones and those of clusters' bridges left out. */
export function hostAddresses(): LinkAddress[] {
  const found: LinkAddress[] = [];
  const passing = passingAddresses(readSystemFile("/proc/net/if_inet6"));
  for (const [name, addresses] of Object.entries(os.networkInterfaces())) {
    // Bridges of an earlier cluster are not the host's own network.
    if (/^(cni|kubestick|docker|flannel|cali|veth|kube-|virbr|lxcbr)/.test(name)) continue;
    for (const a of addresses ?? []) {
      const linkLocal = a.address.startsWith("169.254.") || /^fe[89ab]/i.test(a.address);
      const network = parseCidr(a.cidr ?? "");
      if (network && !a.internal && !linkLocal && !passing.has(a.address))
        found.push({ interface: name, address: a.address, family: network.family, network });
    }
  }
  return found;
}

function serviceManager(): ServiceManager {
  // As sd_booted(3) has it; OpenRC keeps its state in /run/openrc while it runs.
  if (fs.existsSync("/run/systemd/system")) return "systemd";
  if (fs.existsSync("/run/openrc/softlevel")) return "openrc";
  return "none";
}
