import { ADMIN_KUBECONFIG } from "../../lib/constants/paths.ts";
import { UsageError } from "../../lib/errors.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { type LabMember, labMembers, loadPlan } from "../../lib/lab/plan.ts";
import { existingPlan, LAB_ARGS, labOf } from "../args/lab.ts";
import { type Candidate, command, type Given } from "../command.ts";

export default command({
  name: "shell",
  description: "Open a shell in a node of a lab, or run the command that follows --",
  synopsis: "NODE [OPTIONS] [-- COMMAND...]",
  args: {
    node: {
      type: "positional",
      required: false,
      rest: true,
      description: "The node's name.",
      completes: nodeNames,
    },
    ...LAB_ARGS,
  },
  examples: [
    ["A shell", "kubestick lab shell lab-1"],
    ["One command", "kubestick lab shell lab-1 -- kubectl get nodes"],
  ],
  run: async ({ args, out }) => {
    const lab = labOf(args);
    const [name, ...words] = args._;
    const members = labMembers(lab.dir, existingPlan(lab));
    const member = members.find((m) => m.name === name);
    if (!member)
      throw new UsageError(
        name === undefined ? "which node?" : `there is no node ${name} in this lab`,
        `one of ${members.map((m) => m.name).join(", ")}`,
      );
    // What the command prints is not the report.
    out.exitCode = await inShell(member, words.length > 0 ? words : [findProgram("bash") ?? "sh"], out.json);
    out.report({ node: member.name, exitCode: out.exitCode });
  },
});

function inShell({ node, controlPlane }: LabMember, command: string[], aside: boolean): Promise<number> {
  const env = {
    TERM: process.env["TERM"] ?? "dumb",
    ...(controlPlane ? { KUBECONFIG: ADMIN_KUBECONFIG } : {}),
  };
  const child = node.start(command, env, aside ? "aside" : "inherit");
  return new Promise((done, reject) => {
    child.once("error", reject);
    child.once("close", (code) => done(code ?? 1));
  });
}

function nodeNames(given: Given): Candidate[] {
  const { name, dir } = labOf({ name: given.get("name"), dir: given.get("dir") });
  const plan = loadPlan(dir, name);
  return plan ? labMembers(dir, plan).map((member) => ({ value: member.name })) : [];
}
