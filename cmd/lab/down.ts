import { labDown } from "../../lib/lab/down.ts";
import { lockLab } from "../../lib/lab/lock.ts";
import { loadPlan } from "../../lib/lab/plan.ts";
import { LAB_ARGS, labOf } from "../args/lab.ts";
import { command } from "../command.ts";

export default command({
  name: "down",
  description: "Take a lab down, with everything that it made on this machine",
  args: LAB_ARGS,
  examples: [
    ["The lab that lab up makes", "kubestick lab down"],
    ["Another one", "kubestick lab down --name class"],
  ],
  run: async ({ args, out }) => {
    const { name, dir } = labOf(args);
    const plan = loadPlan(dir, name);
    if (plan) {
      using _lock = lockLab(dir, name);
      await labDown(dir, plan, out.ui);
    }
    out.report({ name, removed: plan !== undefined });
    out.ui.print(plan ? `The lab ${plan.name} is gone.` : `There is no lab ${name}.`);
  },
});
