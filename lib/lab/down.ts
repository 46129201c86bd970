import * as fs from "node:fs";
import { join } from "node:path";
import { tryRun } from "../host/process.ts";
import type { Ui } from "../ui/ui.ts";
import { type LabPlan, labBridge, labMembers } from "./plan.ts";

/** Takes a lab down: processes, links, namespaces, cgroups and files. Safe to run on what is half there. */
export async function labDown(dir: string, plan: LabPlan, ui: Ui): Promise<void> {
  for (const { node, name } of labMembers(dir, plan)) {
    await node.down();
    ui.step("lab", `Took down ${name}`);
  }
  tryRun("ip", ["link", "del", labBridge(plan).name]);
  fs.rmSync(join(dir, plan.name), { recursive: true, force: true });
}
