import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { CERTIFICATES_DIR, DEFAULT_CRI_SOCKET } from "../lib/constants/paths.ts";
import { readFacts } from "../lib/host/facts.ts";
import { Files } from "../lib/host/files.ts";
import { lockHost } from "../lib/host/lock.ts";
import { ResetContext } from "../lib/phases/reset/context.ts";
import { RESET_PHASES } from "../lib/phases/reset/reset.ts";
import { findPhase, type PhaseResult, runPhases, skipList } from "../lib/phases/runner.ts";
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
  const { ui } = out;
  const dryRun = given.get("dry-run") === "true";
  const only = words.length > 0 ? findPhase(RESET_PHASES, words) : undefined;
  const files = new Files("/", { overlay: dryRun });
  using _lock = lockHost(files);
  const ctx = new ResetContext(readFacts(files), files, ui, {
    dryRun,
    force: given.get("force") === "true",
    certificatesDir: resolve(given.get("cert-dir") || CERTIFICATES_DIR),
    criSocket: nodeFlags(given).criSocket ?? DEFAULT_CRI_SOCKET,
    confirm,
  });
  const results: PhaseResult[] = [];
  try {
    const phases = only ? [only] : RESET_PHASES.map((phase) => ({ path: phase.name, phase, depth: 0 }));
    await runPhases(phases, ctx, { skip: skipList(RESET_PHASES, listValue(given, "skip-phases")), ui, results });
    if (!ctx.options.dryRun && !only)
      ui.print(`
This host is as it was before kubestick. In the cluster, if it lives on, remove the node: kubectl delete node ${ctx.facts.hostname}`);
  } finally {
    ctx.close();
    out.report({ node: ctx.facts.hostname, dryRun, phases: results });
  }
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
