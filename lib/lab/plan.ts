import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  LAB_DIR,
  LAB_FIRST_NODE,
  LAB_GATEWAY,
  LAB_HIDDEN,
  LAB_MAX_NODES,
  LAB_NAME_LENGTH,
  LAB_OVERLAYS,
  LAB_PREFIX,
} from "../constants/lab.ts";
import { KubestickError, reason, UsageError } from "../errors.ts";
import { Files } from "../host/files.ts";
import { hostBits, indexedIp, parseCidr } from "../net/ip.ts";
import { NamespaceNode } from "./node.ts";

/** What a lab is; kept on disk as it is here. */
export interface LabPlan {
  name: string;
  /** How many nodes, the control planes among them. */
  nodes: number;
  controlPlanes: number;
  /** The segment that all nodes are on. */
  subnet: string;
}

/** A node of a lab. */
export interface LabMember {
  node: NamespaceNode;
  name: string;
  ip: string;
  controlPlane: boolean;
}

const HOST_BITS = 8;

/** Throws UsageError for a lab that cannot be. */
export function checkPlan(plan: LabPlan): void {
  const { name, nodes, controlPlanes, subnet } = plan;
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) || name.length > LAB_NAME_LENGTH)
    throw new UsageError(
      `a lab's name is 1 to ${LAB_NAME_LENGTH} lower-case letters, digits and hyphens, not ${JSON.stringify(name)}`,
    );
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > LAB_MAX_NODES)
    throw new UsageError(`--nodes is a number from 1 to ${LAB_MAX_NODES}`);
  if (!Number.isInteger(controlPlanes) || controlPlanes < 1 || controlPlanes > nodes)
    throw new UsageError(
      `--control-planes is a number from 1 to that of the nodes, ${nodes}`,
      "the control planes are counted among --nodes",
    );
  const cidr = parseCidr(subnet);
  if (cidr?.family !== 4 || hostBits(cidr) < HOST_BITS)
    throw new UsageError(`--subnet is an IPv4 range of /24 or more, not ${JSON.stringify(subnet)}`);
}

/** Throws UsageError for a directory that labs cannot be kept in: an overlay's changes cannot lie in what it overlays. */
export function checkLabDir(dir: string): void {
  const real = realPath(dir);
  const within = LAB_OVERLAYS.map((name) => `/${name}`).find((top) => real === top || real.startsWith(`${top}/`));
  if (within === undefined) return;
  throw new UsageError(
    `labs cannot be kept in ${dir}${real === dir ? "" : ` (${real})`}: each node sees this machine's ${within} through an overlay, which cannot hold its own changes`,
    `choose a directory outside of ${LAB_OVERLAYS.map((name) => `/${name}`).join(", ")} with --dir, such as ${LAB_DIR}`,
  );
}

/** Where a path leads, as far as it is there. */
function realPath(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return path === "/" ? path : join(realPath(dirname(path)), basename(path));
  }
}

/** The name under which every node finds the API servers. */
export const labEndpoint = (plan: LabPlan) => `${plan.name}-api`;

/** The bridge of this machine that a lab's nodes hang on, and its address there. */
export function labBridge(plan: LabPlan): { name: string; address: string } {
  const cidr = parseCidr(plan.subnet)!;
  return { name: `${LAB_PREFIX}${plan.name}`, address: `${indexedIp(cidr, LAB_GATEWAY)}/${cidr.bits}` };
}

/**
 * A lab's nodes, the control planes first. `binds` are files of this machine that each sees under other paths. A name
 * with several addresses stands in for a load balancer: who looks it up tries them one after the other.
 */
export function labMembers(dir: string, plan: LabPlan, binds: Record<string, string> = {}): LabMember[] {
  const cidr = parseCidr(plan.subnet)!;
  const members = Array.from({ length: plan.nodes }, (_, i) => ({
    name: `${plan.name}-${i + 1}`,
    ip: indexedIp(cidr, LAB_FIRST_NODE + i + 1)!,
    controlPlane: i < plan.controlPlanes,
  }));
  const bridge = labBridge(plan);
  const hosts = [
    "127.0.0.1 localhost",
    "::1 localhost",
    ...members.map((m) => `${m.ip} ${m.name}`),
    ...members.filter((m) => m.controlPlane).map((m) => `${m.ip} ${labEndpoint(plan)}`),
  ];
  return members.map((member) => ({
    ...member,
    node: new NamespaceNode({
      name: member.name,
      address: `${member.ip}/${cidr.bits}`,
      bridge: bridge.name,
      link: `${LAB_PREFIX}${member.name}`,
      dir: join(dir, plan.name, member.name),
      hosts: `${hosts.join("\n")}\n`,
      resolvConf: "",
      hidden: LAB_HIDDEN,
      binds,
    }),
  }));
}

const planFile = (dir: string, name: string) => join(dir, name, "lab.json");

/** Keeps a lab's plan on disk. */
export function savePlan(dir: string, plan: LabPlan): void {
  new Files().write(planFile(dir, plan.name), `${JSON.stringify(plan, null, 2)}\n`);
}

/** The plan of a lab that was made; undefined where there is none of that name. Throws KubestickError when it cannot be read. */
export function loadPlan(dir: string, name: string): LabPlan | undefined {
  const file = planFile(dir, name);
  try {
    const text = new Files().readText(file);
    if (text === undefined) return undefined;
    const plan = JSON.parse(text) as LabPlan;
    checkPlan(plan);
    if (plan.name !== name) throw new Error("it is that of another lab");
    return plan;
  } catch (error) {
    throw new KubestickError(`cannot use ${file}: ${reason(error)}`, {
      hint: `remove ${join(dir, name)} when no node of that lab runs any more`,
    });
  }
}
