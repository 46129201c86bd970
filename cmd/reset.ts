import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { CERTIFICATES_DIR, DEFAULT_CRI_SOCKET } from "../lib/constants/paths.ts";
import { readFacts } from "../lib/host/facts.ts";
import { Files } from "../lib/host/files.ts";
import { lockHost } from "../lib/host/lock.ts";
import { ResetContext } from "../lib/phases/reset/context.ts";
import { RESET_PHASES } from "../lib/phases/reset/reset.ts";
import { type PhaseResult, runPhases, skipList } from "../lib/phases/runner.ts";
import { printJson } from "../lib/ui/ui.ts";
import { byName, type Flag, GLOBAL_FLAGS, listValue, NODE_FLAGS, nodeFlags, uiOf } from "./flags.ts";

/** The flags of `reset`; names, meanings and defaults are kubeadm's. */
export const RESET_FLAGS: Flag[] = byName([
  ...NODE_FLAGS.filter((flag) => ["cri-socket", "skip-phases"].includes(flag.name)),
  {
    name: "cert-dir",
    description: `The path to the directory where the certificates are stored (default ${CERTIFICATES_DIR}).`,
    valueHint: "directory",
  },
  { name: "dry-run", description: "Don't apply any changes; just output what would be done.", type: "boolean" },
  {
    name: "force",
    alias: "f",
    description: "Reset the node without prompting for confirmation, and remove files that were changed since, too.",
    type: "boolean",
  },
  ...GLOBAL_FLAGS,
]);

/** Runs `kubestick reset`. Throws KubestickError. */
export async function runReset(given: Map<string, string>): Promise<void> {
  const ui = uiOf(given);
  const dryRun = given.get("dry-run") === "true";
  const force = given.get("force") === "true";
  const files = new Files("/", { overlay: dryRun });
  using _lock = lockHost(files);
  const ctx = new ResetContext(readFacts(files), files, ui, {
    dryRun,
    force,
    certificatesDir: resolve(given.get("cert-dir") || CERTIFICATES_DIR),
    criSocket: nodeFlags(given).criSocket ?? DEFAULT_CRI_SOCKET,
    ...(dryRun || force ? {} : { confirm }),
  });
  const results: PhaseResult[] = [];
  try {
    const phases = RESET_PHASES.map((phase) => ({ path: phase.name, phase, depth: 0 }));
    await runPhases(phases, ctx, { skip: skipList(RESET_PHASES, listValue(given, "skip-phases")), ui, results });
    if (!ctx.options.dryRun)
      ui.print(`
This host is as it was before kubestick. In the cluster, if it lives on, remove the node: kubectl delete node ${ctx.facts.hostname}`);
  } finally {
    ctx.close();
    if (ui.json) printJson({ command: "reset", phases: results });
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
