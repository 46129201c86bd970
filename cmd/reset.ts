import { createInterface } from "node:readline";
import { type ResetOptions, reset } from "../lib/commands/reset.ts";
import { CERTIFICATES_DIR } from "../lib/constants/paths.ts";
import { byName, type Flag, GLOBAL_FLAGS, listValue, NODE_FLAGS, nodeFlags, reporting, uiOf } from "./flags.ts";

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

/** Runs `kubestick reset`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runReset(given: Map<string, string>, words: string[] = []): Promise<void> {
  const ui = uiOf(given);
  const options: ResetOptions = {
    ui,
    confirm,
    phase: words,
    force: given.get("force") === "true",
    dryRun: given.get("dry-run") === "true",
    certificatesDir: given.get("cert-dir"),
    criSocket: nodeFlags(given).criSocket,
    skipPhases: listValue(given, "skip-phases"),
  };
  await reporting(ui, "reset", reset(options));
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
