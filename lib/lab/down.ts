import { join } from "node:path";
import { ownDirectory } from "../host/directories.ts";
import { tryRun } from "../host/process.ts";
import type { Ui } from "../ui/ui.ts";
import { removeLab } from "./node.ts";
import { type LabPlan, labBridge, labMembers } from "./plan.ts";

/** Takes a lab down: processes, links, namespaces, cgroups and files. Safe to run on what is half there. */
export async function labDown(dir: string, plan: LabPlan, ui: Ui): Promise<void> {
  // Others could have put one in its place where it is kept in a shared directory.
  ownDirectory(join(dir, plan.name), 0o700);
  for (const { node, name } of labMembers(dir, plan)) {
    await node.down();
    ui.step("lab", `Took down ${name}`);
  }
  tryRun("ip", ["link", "del", labBridge(plan).name]);
  removeLab(join(dir, plan.name));
}
