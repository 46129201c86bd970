import { resolve } from "node:path";
import { CERTIFICATES_DIR, DEFAULT_CRI_SOCKET } from "../constants/paths.ts";
import { readFacts } from "../host/facts.ts";
import { Files } from "../host/files.ts";
import { lockHost } from "../host/lock.ts";
import { openReset } from "../phases/reset/context.ts";
import { RESET_PHASES } from "../phases/reset/reset.ts";
import type { PhaseResult } from "../phases/runner.ts";
import { QUIET } from "../ui/quiet.ts";
import { choosePhases, type RunOptions, runReported } from "./run.ts";

/** What `reset` is told. */
export interface ResetOptions extends RunOptions {
  /** Go on without asking, and remove files that were changed since, too. */
  force?: boolean;
  /** Asks whether to go on; without it, and without `force`, nothing is removed. */
  confirm?: () => Promise<boolean>;
  /** Where the certificates are; kubeadm's directory without it. */
  certificatesDir?: string;
  criSocket?: string;
}

/** How `reset` went. */
export interface ResetReport {
  /** This host's name, which its node has where it was given no other. */
  node: string;
  dryRun: boolean;
  phases: PhaseResult[];
}

/**
 * Takes everything off this host that kubestick put on it, or runs one phase of that. Throws KubestickError (see
 * `reportOf` for how far it came).
 */
export async function reset(options: ResetOptions): Promise<ResetReport> {
  const { ui = QUIET, dryRun = false, force = false, criSocket = DEFAULT_CRI_SOCKET } = options;
  const chosen = choosePhases(RESET_PHASES, options.phase, options.skipPhases);
  const files = new Files("/", { overlay: dryRun });
  using _lock = lockHost(files);
  const facts = readFacts(files);
  const ctx = openReset(
    { facts, files, ui, criSocket, dryRun },
    {
      force,
      certificatesDir: resolve(options.certificatesDir || CERTIFICATES_DIR),
      confirm: dryRun || force ? undefined : (options.confirm ?? (async () => false)),
    },
  );
  // Awaited here: the lock is held until then.
  return await runReported(chosen, ctx, ui, {
    after: async () => {
      if (dryRun || !chosen.whole) return;
      ui.print(`
This host is as it was before kubestick. In the cluster, if it lives on, remove the node: kubectl delete node ${facts.hostname}`);
    },
    end: async () => ctx.cri.close(),
    report: (phases) => ({ node: facts.hostname, dryRun, phases }),
  });
}
