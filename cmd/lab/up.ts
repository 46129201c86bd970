import { resolve } from "node:path";
import type { ParsedArgs } from "citty";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { LAB_NAME, LAB_SUBNET } from "../../lib/constants/lab.ts";
import { KubestickError, UsageError } from "../../lib/errors.ts";
import { lockLab } from "../../lib/lab/lock.ts";
import { checkLabDir, checkPlan, type LabPlan, loadPlan } from "../../lib/lab/plan.ts";
import { labKubeconfig, labStatus } from "../../lib/lab/status.ts";
import { type LabRun, labUp, missingForLab } from "../../lib/lab/up.ts";
import { isCompiled } from "../../lib/services/executable.ts";
import { INIT_ARGS } from "../args/init.ts";
import { LAB_ARGS, labOf } from "../args/lab.ts";
import { args, command, type Given } from "../command.ts";
import { nodeBundle } from "../flags.ts";
import { nodeTable } from "./table.ts";

/** Flags of init that a lab takes too. */
const OF_INIT = ["network", "pod-network-cidr", "service-cidr"] as const;

const ARGS = args({
  nodes: {
    type: "string",
    description: "How many nodes, the control planes among them (default 3).",
    valueHint: "number",
  },
  "control-planes": {
    type: "string",
    description: "How many of them are control planes (default 1).",
    valueHint: "number",
  },
  subnet: {
    type: "string",
    description: `The range of the nodes' addresses (default ${LAB_SUBNET}).`,
    valueHint: "cidr",
  },
  bundle: INIT_ARGS.bundle,
  "ignore-preflight-errors": INIT_ARGS["ignore-preflight-errors"],
  network: INIT_ARGS.network,
  "pod-network-cidr": INIT_ARGS["pod-network-cidr"],
  "service-cidr": INIT_ARGS["service-cidr"],
  ...LAB_ARGS,
});

type Values = ParsedArgs<typeof ARGS>;

export default command({
  name: "up",
  description: "Make a cluster whose nodes are namespaces of this machine, or go on with it",
  args: ARGS,
  examples: [
    ["Three nodes, from the bundle that this executable carries", "kubestick lab up"],
    ["Five nodes, three of them control planes", "kubestick lab up --nodes 5 --control-planes 3 --bundle bundle.tar"],
    ["A second lab beside it", "kubestick lab up --name class --subnet 10.98.0.0/24"],
  ],
  run: async ({ args, given, out }) => {
    const lab = labOf(args);
    checkLabDir(lab.dir);
    const plan = planOf(args);
    const missing = missingForLab();
    if (missing !== undefined) throw new KubestickError(`a lab cannot be made here: ${missing}`);
    const how = runOf(args, given);
    using _lock = lockLab(lab.dir, lab.name);
    await labUp(plan, how, out.ui);
    const { nodes } = await labStatus(how.dir, plan);
    const flags = [
      ...(plan.name === LAB_NAME ? [] : [`--name ${plan.name}`]),
      ...(args.dir === undefined ? [] : [`--dir ${how.dir}`]),
    ];
    const command = (words: string) => ["kubestick lab", words, ...flags].join(" ");
    out.report({ nodes });
    out.ui.print(`
${nodeTable(nodes)}

Your lab is up. To use it from here:     export KUBECONFIG=${labKubeconfig(how.dir, plan)}
to look into a node:                     ${command(`shell ${nodes[0]!.name}`)}
to take it down, with all it made here:  ${command("down")}`);
  },
});

/** What is to be made: as the flags say, and as the lab was made before. */
function planOf(args: Values): LabPlan {
  const { name, dir } = labOf(args);
  const before = loadPlan(dir, name);
  const number = (value: string | undefined, otherwise: number) => (value === undefined ? otherwise : Number(value));
  const controlPlanes = number(args["control-planes"], before?.controlPlanes ?? 1);
  const plan = {
    name,
    nodes: number(args.nodes, before?.nodes ?? Math.max(3, controlPlanes)),
    controlPlanes,
    subnet: args.subnet ?? before?.subnet ?? LAB_SUBNET,
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

function runOf(args: Values, given: Given): LabRun {
  const bundle = nodeBundle(given);
  if (bundle === undefined)
    throw new UsageError(
      "the nodes of a lab are bare, and this executable carries no bundle to fill them with",
      "make one where there is a network (kubestick bundle create bundle.tar), then name it with --bundle or attach it",
    );
  // One that is damaged is found out here, not in the first node.
  Bundle.open(bundle).close();
  const { bundle: named, "ignore-preflight-errors": ignored } = args;
  const network = given.get("network");
  const manifest = network === undefined || network === "flat" || network === "none" ? undefined : resolve(network);
  return {
    dir: labOf(args).dir,
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
