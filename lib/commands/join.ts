import { Bundle } from "../bundle/bundle.ts";
import { type ParsedConfig, parseConfig } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import { reportDryRun } from "../edge/report.ts";
import { UsageError } from "../errors.ts";
import { readFacts } from "../host/facts.ts";
import { Files } from "../host/files.ts";
import { lockHost } from "../host/lock.ts";
import { type Join, openJoin } from "../phases/join/context.ts";
import { JOIN_PHASES, joined } from "../phases/join/join.ts";
import type { PhaseResult } from "../phases/runner.ts";
import { QUIET } from "../ui/quiet.ts";
import { closing, type NodeSetup } from "./init.ts";
import { choosePhases, type RunOptions, runReported } from "./run.ts";

/** What `join` is told. */
export interface JoinOptions extends RunOptions, NodeSetup {
  /** The text of a configuration file with a JoinConfiguration, or what has been read of one or of flags. */
  config: string | ParsedConfig;
  /** Set this host's clock to the control plane's when it is too wrong for TLS. */
  syncTime?: boolean;
}

/** How `join` went. */
export interface JoinReport {
  /** The node's name. */
  node: string;
  dryRun: boolean;
  phases: PhaseResult[];
}

/**
 * Joins this host to a cluster, as a worker or a control plane, or runs one phase of that. Throws KubestickError (see
 * `reportOf` for how far it came), ConfigError for a configuration that cannot be used.
 */
export async function join(options: JoinOptions): Promise<JoinReport> {
  const { ui = QUIET, environment = {} } = options;
  const parsed = typeof options.config === "string" ? parseConfig(options.config, "config", "join") : options.config;
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  for (const text of parsed.warnings) ui.warn(text);
  const config = parsed.join;
  if (!config) throw new UsageError("there is no JoinConfiguration to join with");
  const dryRun = options.dryRun || (config.dryRun ?? false);
  const skipped = [...(config.skipPhases ?? []), ...(options.skipPhases ?? [])];
  const chosen = choosePhases(JOIN_PHASES, options.phase, skipped);
  const files = new Files("/", { overlay: dryRun });
  using bundle = options.bundle === undefined ? undefined : closing(Bundle.open(options.bundle));
  using _lock = lockHost(files);
  const ctx = openJoin(
    config,
    {
      facts: readFacts(files),
      files,
      ui,
      environment,
      dryRun,
      bundle: bundle?.value,
      force: options.force,
      registryMirrors: options.registryMirrors,
    },
    {
      syncTime: options.syncTime ?? false,
      ignorePreflightErrors: new Set([
        ...(config.nodeRegistration?.ignorePreflightErrors ?? []),
        ...(options.ignorePreflightErrors ?? []),
      ]),
    },
  );
  // Awaited here: the lock is held until then.
  return await runReported(chosen, ctx, ui, {
    after: async () => {
      if (ctx.notes) reportDryRun(ctx.node, [...ctx.notes.objects.values()]);
      else if (chosen.whole) ui.print(joined(config.controlPlane !== undefined));
    },
    end: () => ctx.close(),
    report: (phases) => reportOn(ctx, phases),
  });
}

const reportOn = ({ node, notes }: Join, phases: PhaseResult[]): JoinReport => ({
  node: node.name,
  dryRun: notes !== undefined,
  phases,
});
