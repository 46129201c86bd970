import {
  type FlatPhase,
  findPhase,
  type Phase,
  type PhaseResult,
  runPhases,
  skipList,
  wholeOf,
} from "../phases/runner.ts";
import type { Ui } from "../ui/ui.ts";

/** What every command that runs phases can be told. */
export interface RunOptions {
  /** Only one phase, by its words: `["certs", "etcd-ca"]`. Without it all of them run. */
  phase?: string[];
  /** Phases that are left out, by their full names. */
  skipPhases?: string[];
  /** Change nothing, only say what would be done. */
  dryRun?: boolean;
  /** Where progress and warnings go; without it they go nowhere. */
  ui?: Ui;
}

/** The phases of a run, and those that it leaves out. Throws UsageError for a name that is no phase. */
export interface Chosen<C> {
  phases: FlatPhase<C>[];
  skip: Set<string>;
  /** Whether it is all of them. */
  whole: boolean;
}

/** Chooses the phases that a run is asked for. Throws UsageError, with a suggestion, for a name that is none. */
export function choosePhases<C>(list: Phase<C>[], words: string[] = [], skipped: string[] = []): Chosen<C> {
  const whole = words.length === 0;
  return { phases: whole ? wholeOf(list) : [findPhase(list, words)], skip: skipList(list, skipped), whole };
}

/** Reports of runs that failed, by what they threw. */
const reports = new WeakMap<object, object>();

/** The report of a run that failed, by the error that it threw: how far it came. Undefined for an error of something else. */
export const reportOf = (error: unknown): object | undefined =>
  error !== null && typeof error === "object" ? reports.get(error) : undefined;

/**
 * Runs the chosen phases and gives the report; `report` makes it of the phases' results and whether all went well. What
 * is thrown on the way is thrown on, with the report kept for reportOf. `end` runs in any case.
 */
export async function runReported<C, R extends object>(
  { phases, skip }: Chosen<C>,
  ctx: C,
  ui: Ui,
  run: { after?: () => Promise<void>; end: () => Promise<void>; report: (results: PhaseResult[], done: boolean) => R },
): Promise<R> {
  const results: PhaseResult[] = [];
  try {
    await runPhases(phases, ctx, { skip, ui, results });
    await run.after?.();
  } catch (error) {
    if (error !== null && typeof error === "object") reports.set(error, run.report(results, false));
    throw error;
  } finally {
    await run.end();
  }
  return run.report(results, true);
}
