import { resolve } from "node:path";
import { LAB_DIR, LAB_NAME } from "../../lib/constants/lab.ts";
import { KubestickError } from "../../lib/errors.ts";
import { type LabPlan, loadPlan } from "../../lib/lab/plan.ts";
import { args } from "../command.ts";
import { COMMON_ARGS } from "./common.ts";

/** The flags of every `lab` command. */
export const LAB_ARGS = args({
  name: { type: "string", description: `The lab's name (default ${LAB_NAME}).`, valueHint: "name" },
  dir: {
    type: "string",
    description: `Where labs are kept (default ${LAB_DIR}).`,
    valueHint: "directory",
    completes: "directory",
  },
  ...COMMON_ARGS,
});

/** The lab that flags name. */
export const labOf = (given: {
  name?: string | undefined;
  dir?: string | undefined;
}): { name: string; dir: string } => ({
  name: given.name ?? LAB_NAME,
  dir: resolve(given.dir || LAB_DIR),
});

/** A lab's plan as it was made. Throws KubestickError where there is no such lab. */
export function existingPlan({ name, dir }: { name: string; dir: string }): LabPlan {
  const plan = loadPlan(dir, name);
  if (plan) return plan;
  throw new KubestickError(`there is no lab ${name} in ${dir}`, {
    hint: "kubestick lab up makes it",
    code: "not-found",
  });
}
