import { join, resolve } from "node:path";
import { Bundle } from "../lib/bundle/bundle.ts";
import { LAB_DIR, LAB_NAME, LAB_SUBNET } from "../lib/constants/lab.ts";
import { ADMIN_KUBECONFIG } from "../lib/constants/paths.ts";
import { KubestickError, UsageError } from "../lib/errors.ts";
import { makeDirectory } from "../lib/host/directories.ts";
import { findProgram } from "../lib/host/facts.ts";
import { type Lock, lockTarget } from "../lib/host/lock.ts";
import { labDown } from "../lib/lab/down.ts";
import { checkLabDir, checkPlan, type LabMember, type LabPlan, labMembers, loadPlan } from "../lib/lab/plan.ts";
import { labKubeconfig, labStatus, type NodeState } from "../lib/lab/status.ts";
import { type LabRun, labUp, missingForLab } from "../lib/lab/up.ts";
import { isCompiled } from "../lib/services/executable.ts";
import { formatTable } from "../lib/ui/table.ts";
import { printJson } from "../lib/ui/ui.ts";
import { byName, type Flag, GLOBAL_FLAGS, NODE_FLAGS, nodeBundle, uiOf } from "./flags.ts";
import { INIT_FLAGS } from "./init-flags.ts";

type Given = Map<string, string>;

const COMMON: Flag[] = [
  { name: "name", description: `The lab's name (default ${LAB_NAME}).`, valueHint: "name" },
  { name: "dir", description: `Where labs are kept (default ${LAB_DIR}).`, valueHint: "directory" },
  ...GLOBAL_FLAGS,
];

/** Flags of init that a lab takes too. */
const OF_INIT = ["network", "pod-network-cidr", "service-cidr"];

/** The flags of the `lab` commands. */
export const LAB_FLAGS: Record<"common" | "up", Flag[]> = {
  common: byName(COMMON),
  up: byName([
    { name: "nodes", description: "How many nodes, the control planes among them (default 3).", valueHint: "number" },
    { name: "control-planes", description: "How many of them are control planes (default 1).", valueHint: "number" },
    { name: "subnet", description: `The range of the nodes' addresses (default ${LAB_SUBNET}).`, valueHint: "cidr" },
    ...NODE_FLAGS.filter((flag) => ["bundle", "ignore-preflight-errors"].includes(flag.name)),
    ...INIT_FLAGS.filter((flag) => OF_INIT.includes(flag.name)),
    ...COMMON,
  ]),
};

const dirOf = (given: Given) => resolve(given.get("dir") || LAB_DIR);
const nameOf = (given: Given) => given.get("name") ?? LAB_NAME;

/** Whoever makes a lab or takes it down holds its lock. Throws KubestickError. */
function lockLab(given: Given): Lock {
  makeDirectory(dirOf(given), 0o700);
  return lockTarget(join(dirOf(given), nameOf(given)));
}

/** `lab up`: makes a cluster of namespace nodes, from the same bundle and by the same commands as on boards. */
export async function labUpCommand(given: Given): Promise<void> {
  const ui = uiOf(given);
  checkLabDir(dirOf(given));
  const plan = planOf(given);
  const missing = missingForLab();
  if (missing !== undefined) throw new KubestickError(`a lab cannot be made here: ${missing}`);
  const how = runOf(given);
  using _lock = lockLab(given);
  await labUp(plan, how, ui);
  const { nodes } = await labStatus(how.dir, plan);
  const flags = [
    ...(plan.name === LAB_NAME ? [] : [`--name ${plan.name}`]),
    ...(given.has("dir") ? [`--dir ${how.dir}`] : []),
  ];
  const command = (words: string) => ["kubestick lab", words, ...flags].join(" ");
  if (ui.json) printJson({ command: "lab up", nodes });
  ui.print(`
${table(nodes)}

Your lab is up. To use it from here:     export KUBECONFIG=${labKubeconfig(how.dir, plan)}
to look into a node:                     ${command(`shell ${nodes[0]!.name}`)}
to take it down, with all it made here:  ${command("down")}`);
}

/** What is to be made: as the flags say, and as the lab was made before. */
function planOf(given: Given): LabPlan {
  const name = nameOf(given);
  const before = loadPlan(dirOf(given), name);
  const number = (flag: string, otherwise: number) => (given.has(flag) ? Number(given.get(flag)) : otherwise);
  const controlPlanes = number("control-planes", before?.controlPlanes ?? 1);
  const plan = {
    name,
    nodes: number("nodes", before?.nodes ?? Math.max(3, controlPlanes)),
    controlPlanes,
    subnet: given.get("subnet") ?? before?.subnet ?? LAB_SUBNET,
  };
  checkPlan(plan);
  if (
    before &&
    (plan.controlPlanes !== before.controlPlanes || plan.subnet !== before.subnet || plan.nodes < before.nodes)
  )
    throw new UsageError(
      `the lab ${name} has ${before.nodes} nodes, ${before.controlPlanes} of them control planes, on ${before.subnet}; it can only get more workers`,
      "kubestick lab down takes it away first",
    );
  return plan;
}

const BUNDLE_IN_NODE = "/opt/kubestick-lab/bundle.tar";
const NETWORK_IN_NODE = "/opt/kubestick-lab/network.yaml";

function runOf(given: Given): LabRun {
  const bundle = nodeBundle(given);
  if (bundle === undefined)
    throw new UsageError(
      "the nodes of a lab are bare, and this executable carries no bundle to fill them with",
      "make one where there is a network (kubestick bundle create bundle.tar), then name it with --bundle or attach it",
    );
  Bundle.open(bundle).close();
  const named = given.get("bundle");
  const network = given.get("network");
  const manifest = network === undefined || network === "flat" || network === "none" ? undefined : resolve(network);
  const ignored = given.get("ignore-preflight-errors");
  return {
    dir: dirOf(given),
    kubestick: isCompiled() ? ["kubestick"] : [process.execPath, Bun.main],
    binds: {
      ...(isCompiled() ? { "/usr/local/bin/kubestick": process.execPath } : {}),
      ...(named === undefined ? {} : { [BUNDLE_IN_NODE]: resolve(named) }),
      ...(manifest === undefined ? {} : { [NETWORK_IN_NODE]: manifest }),
    },
    nodeFlags: [
      ...(named === undefined ? [] : ["--bundle", BUNDLE_IN_NODE]),
      ...(ignored === undefined ? [] : ["--ignore-preflight-errors", ignored]),
    ],
    initFlags: OF_INIT.filter((flag) => given.has(flag)).flatMap((flag) => [
      `--${flag}`,
      flag === "network" && manifest !== undefined ? NETWORK_IN_NODE : given.get(flag)!,
    ]),
  };
}

function existing(given: Given): LabPlan {
  const plan = loadPlan(dirOf(given), nameOf(given));
  if (plan) return plan;
  throw new KubestickError(`there is no lab ${nameOf(given)} in ${dirOf(given)}`, {
    hint: "kubestick lab up makes it",
  });
}

/** `lab status`: a table of the nodes, or JSON. */
export async function labStatusCommand(given: Given): Promise<void> {
  const ui = uiOf(given);
  const { nodes, problem } = await labStatus(dirOf(given), existing(given));
  if (ui.json) printJson({ nodes, ...(problem ? { problem } : {}) });
  else {
    ui.print(table(nodes));
    if (problem !== undefined) ui.warn(`the cluster did not answer: ${problem}`);
  }
}

/** `lab shell NODE [-- COMMAND...]`: ends with the exit code of what ran. */
export async function labShellCommand(given: Given, [name, ...command]: string[]): Promise<void> {
  const members = labMembers(dirOf(given), existing(given));
  const names = members.map((member) => member.name).join(", ");
  const member = members.find((m) => m.name === name);
  if (!member)
    throw new UsageError(
      name === undefined ? "which node?" : `there is no node ${name} in this lab`,
      `one of ${names}`,
    );
  const code = await inShell(member, command.length > 0 ? command : [findProgram("bash") ?? "sh"]);
  if (code !== 0) process.exit(code);
}

function inShell({ node, controlPlane }: LabMember, command: string[]): Promise<number> {
  const env = {
    TERM: process.env["TERM"] ?? "dumb",
    ...(controlPlane ? { KUBECONFIG: ADMIN_KUBECONFIG } : {}),
  };
  const child = node.start(command, env, "inherit");
  return new Promise((done, reject) => {
    child.once("error", reject);
    child.once("close", (code) => done(code ?? 1));
  });
}

/** `lab down`: nothing of the lab stays. */
export async function labDownCommand(given: Given): Promise<void> {
  const ui = uiOf(given);
  const plan = loadPlan(dirOf(given), nameOf(given));
  if (plan) {
    using _lock = lockLab(given);
    await labDown(dirOf(given), plan, ui);
  }
  if (ui.json) printJson({ command: "lab down", name: nameOf(given), removed: plan !== undefined });
  ui.print(plan ? `The lab ${plan.name} is gone.` : `There is no lab ${nameOf(given)}.`);
}

function table(nodes: NodeState[]): string {
  const state = ({ running, ready }: NodeState) =>
    !running ? "stopped" : ready === undefined ? "not in the cluster" : ready ? "Ready" : "NotReady";
  return formatTable([
    ["NAME", "ADDRESS", "ROLE", "STATE", "VERSION"],
    ...nodes.map((node) => [node.name, node.ip, node.role, state(node), node.version ?? "-"]),
  ]);
}
