import * as fs from "node:fs";
import type { ClusterConfiguration } from "../config/kinds/cluster.ts";
import type { LocalApiEndpoint } from "../config/kinds/fields.ts";
import {
  ETCD_CLIENT_PORT,
  ETCD_PEER_PORT,
  KUBE_CONTROLLER_MANAGER_PORT,
  KUBE_SCHEDULER_PORT,
} from "../constants/ports.ts";
import { processIds, readSystemFile } from "../host/system-files.ts";
import { argOf } from "../manifests/pod.ts";
import { formatIp, parseIp } from "../net/ip.ts";

/** A TCP port that a component will listen on. */
export interface Listening {
  port: number;
  /** Where it will listen; empty for every address of the host. */
  addresses: string[];
}

const WILDCARDS = ["0.0.0.0", "::"];
const LOOPBACK = "127.0.0.1";

/** Where a component that is told its address listens. */
const boundTo = (port: number, address: string | undefined): Listening => ({
  port,
  addresses: address === undefined || address === "" || WILDCARDS.includes(address) ? [] : [address],
});

/** Where the kubelet listens; `address` is its configuration's. */
export const kubeletListening = (port: number, address: unknown): Listening =>
  boundTo(port, typeof address === "string" ? address : undefined);

/**
 * Where a control plane's components listen, by its flags (kubeadm v1.37 checks these addresses, not all of the host's).
 * `cluster` is what is known of the cluster's configuration.
 */
export function controlPlaneListening(
  { bindPort, advertiseAddress }: Partial<LocalApiEndpoint> & { bindPort: number },
  cluster: Partial<Pick<ClusterConfiguration, "apiServer" | "scheduler" | "controllerManager" | "etcd">>,
): Listening[] {
  const bound = (component: "apiServer" | "scheduler" | "controllerManager") =>
    argOf(cluster[component]?.extraArgs, "bind-address");
  const own = advertiseAddress ? [advertiseAddress] : [];
  const loopback = parseIp(advertiseAddress ?? "")?.family === 6 ? "::1" : LOOPBACK;
  const etcd = (port: number, flag: string, addresses: string[]): Listening => ({
    port,
    // A user's own listening addresses are theirs to know.
    addresses: argOf(cluster.etcd?.local?.extraArgs, flag) === undefined ? addresses : [],
  });
  return [
    boundTo(bindPort, bound("apiServer")),
    boundTo(KUBE_SCHEDULER_PORT, bound("scheduler") ?? LOOPBACK),
    boundTo(KUBE_CONTROLLER_MANAGER_PORT, bound("controllerManager") ?? LOOPBACK),
    ...(cluster.etcd?.external
      ? []
      : [
          etcd(ETCD_CLIENT_PORT, "listen-client-urls", own.length > 0 ? [loopback, ...own] : []),
          etcd(ETCD_PEER_PORT, "listen-peer-urls", own),
        ]),
  ];
}

/** The programs that are in the way of a component that will listen, by name; `?` where the program cannot be seen. */
export function listeners(wanted: Listening): string[] {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const inode of listeningInodes(readSystemFile(table), wanted)) inodes.add(inode);
  }
  if (inodes.size === 0) return [];
  const names = new Set<string>();
  for (const pid of processIds()) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode && inodes.has(inode)) names.add(readSystemFile(`/proc/${pid}/comm`).trim());
    }
  }
  return names.size > 0 ? [...names] : ["?"];
}

/**
 * The socket inodes that a /proc/net/tcp table shows in state LISTEN (0A) on a port and one of these addresses, or on all
 * of the host's (proc_net_tcp(5)).
 */
export function listeningInodes(table: string, { port, addresses }: Listening): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const clashes = (theirs: string) =>
    addresses.length === 0 || WILDCARDS.includes(theirs) || addresses.some((ours) => same(ours, theirs));
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f[3] === "0A" && f[1]?.endsWith(`:${hex}`) && clashes(addressOf(f[1].slice(0, -5))))
    .map((f) => f[9]!);
}

/** An address of a /proc/net/tcp table: 32-bit words in this machine's (little-endian) order, an IPv4-mapped one as IPv4. */
function addressOf(hex: string): string {
  const words = (hex.match(/.{8}/g) ?? []).map((word) => word.match(/../g)!.reverse().join(""));
  const value = BigInt(`0x${words.join("") || "0"}`);
  if (words.length === 1 || value >> 32n === 0xffffn) return formatIp(value & 0xffffffffn, 4);
  return formatIp(value, 6);
}

function same(a: string, b: string): boolean {
  const [left, right] = [parseIp(a), parseIp(b)];
  return left !== undefined && left.family === right?.family && left.value === right.value;
}

function readLink(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch {
    return [];
  }
}
