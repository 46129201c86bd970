import { labStatus } from "../../lib/lab/status.ts";
import { existingPlan, LAB_ARGS, labOf } from "../args/lab.ts";
import { command } from "../command.ts";
import { nodeTable } from "./table.ts";

export default command({
  name: "status",
  description: "Show a lab's nodes",
  args: LAB_ARGS,
  examples: [
    ["The lab that lab up makes", "kubestick lab status"],
    ["Another one, for a program", "kubestick lab status --name class --output json"],
  ],
  run: async ({ args, out }) => {
    const lab = labOf(args);
    const { nodes, problem } = await labStatus(lab.dir, existingPlan(lab));
    out.report({ nodes, ...(problem ? { problem } : {}) });
    out.ui.print(nodeTable(nodes));
    if (problem !== undefined) out.ui.warn(`the cluster did not answer: ${problem}`);
  },
});
