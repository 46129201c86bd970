import { createInterface } from "node:readline";
import { type ResetOptions, reset } from "../lib/index.ts";
import { RESET_PHASES } from "../lib/phases/reset/reset.ts";
import { listValue } from "./args/common.ts";
import { RESET_ARGS } from "./args/reset.ts";
import { command, type Given } from "./command.ts";
import { nodeFlags } from "./flags.ts";
import type { Output } from "./output.ts";
import { phasesOf } from "./phase.ts";

export default command({
  name: "reset",
  description: "Take everything off this host that kubestick put on it",
  kubeadm: true,
  args: RESET_ARGS,
  examples: [
    ["Shows what would be removed", "kubestick reset --dry-run"],
    ["Asks, then removes it", "kubestick reset"],
    ["Without a question, for scripts", "kubestick reset --force"],
  ],
  phases: phasesOf(RESET_PHASES),
  topics: ["reset"],
  subCommands: { phase: () => import("./reset/phase.ts").then((file) => file.default) },
  run: ({ given, out }) => runReset(given, [], out),
});

/** Runs `kubestick reset`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runReset(given: Given, words: string[], out: Output): Promise<void> {
  const options: ResetOptions = {
    ui: out.ui,
    confirm,
    phase: words,
    force: given.get("force") === "true",
    dryRun: given.get("dry-run") === "true",
    certificatesDir: given.get("cert-dir"),
    criSocket: nodeFlags(given).criSocket,
    skipPhases: listValue(given, "skip-phases"),
  };
  await out.reportOn(reset(options));
}

async function confirm(): Promise<boolean> {
  process.stderr.write(
    "Everything that kubestick put on this host will be removed, a control plane's data included.\n",
  );
  process.stderr.write("Are you sure you want to proceed? [y/N]: ");
  // Without a terminal there may be no answer at all, which is a no.
  for await (const line of createInterface({ input: process.stdin })) return /^y(es)?$/i.test(line.trim());
  return false;
}
