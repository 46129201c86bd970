import { reason, UsageError } from "../errors.ts";
import type { Ui } from "../ui/ui.ts";
import { suggest } from "../util/suggest.ts";

/** A step of a command, as data: one list gives the order of running, `--skip-phases`, `phase X` and the help text. */
export interface Phase<C> {
  name: string;
  short: string;
  /** Needs the running host: services, the container runtime, the API. Refused on another root. */
  live?: boolean;
  /** A reason not to run it this time. */
  skipIf?: (ctx: C) => string | undefined;
  run?: (ctx: C) => Promise<void> | void;
  children?: Phase<C>[];
  /** Names of the flags that `phase X` takes besides the global ones. */
  flags?: string[];
}

/** How a phase went, for `--output json`. */
export interface PhaseResult {
  phase: string;
  status: "done" | "skipped" | "failed";
  /** Why it was skipped, or how it failed. */
  reason?: string;
  milliseconds: number;
}

/** A phase with its full name, `certs/etcd-ca`. */
export interface FlatPhase<C> {
  path: string;
  phase: Phase<C>;
  depth: number;
}

/** Every phase and sub-phase in the order of running. */
export function flatten<C>(phases: Phase<C>[], prefix = "", depth = 0): FlatPhase<C>[] {
  return phases.flatMap((phase) => {
    const path = prefix + phase.name;
    return [{ path, phase, depth }, ...flatten(phase.children ?? [], `${path}/`, depth + 1)];
  });
}

/** The phase a user means by `certs etcd-ca`, `certs/etcd-ca` or `certs all`. Throws UsageError with a suggestion. */
export function findPhase<C>(phases: Phase<C>[], words: string[]): FlatPhase<C> {
  const path = words.filter((word, i) => !(i > 0 && word === "all" && i === words.length - 1)).join("/");
  const all = flatten(phases);
  const found = all.find((p) => p.path === path);
  if (found) return found;
  const near = suggest(
    path,
    all.map((p) => p.path),
  );
  throw new UsageError(
    `unknown phase "${path.replaceAll("/", " ")}"`,
    near ? `did you mean "${near.replaceAll("/", " ")}"?` : "the command's --help lists them",
  );
}

/** The full names that `--skip-phases` names. Throws UsageError for a name that is no phase. */
export function skipList<C>(phases: Phase<C>[], names: string[]): Set<string> {
  return new Set(names.map((name) => findPhase(phases, name.split("/")).path));
}

/**
 * Runs phases in order; a failure ends the run and is thrown after it is noted in `results`.
 */
export async function runPhases<C>(
  phases: FlatPhase<C>[],
  ctx: C,
  options: { skip: Set<string>; ui: Ui; results: PhaseResult[] },
): Promise<void> {
  for (const { path, phase } of phases) await runOne(path, phase, ctx, options);
}

async function runOne<C>(
  path: string,
  phase: Phase<C>,
  ctx: C,
  options: { skip: Set<string>; ui: Ui; results: PhaseResult[] },
): Promise<void> {
  const { ui, results, skip } = options;
  const why = skip.has(path) ? "--skip-phases" : phase.skipIf?.(ctx);
  if (why !== undefined) {
    ui.detail(`phase ${path} is skipped: ${why}`);
    results.push({ phase: path, status: "skipped", reason: why, milliseconds: 0 });
    return;
  }
  ui.detail(`phase ${path} begins`);
  const started = performance.now();
  const took = () => Math.round(performance.now() - started);
  try {
    await phase.run?.(ctx);
    for (const child of phase.children ?? []) await runOne(`${path}/${child.name}`, child, ctx, options);
  } catch (error) {
    // The innermost phase is the one that failed; those around it only pass the error on.
    if (!results.some((r) => r.status === "failed")) {
      results.push({ phase: path, status: "failed", reason: reason(error), milliseconds: took() });
    }
    throw error;
  }
  results.push({ phase: path, status: "done", milliseconds: took() });
}

/** Runs a phase with its parts as a piece of another command's phase, whose result is the only one noted. */
export async function runWhole<C extends { ui: Ui }>(phase: Phase<C>, ctx: C): Promise<void> {
  await runOne(phase.name, phase, ctx, { skip: new Set(), ui: ctx.ui, results: [] });
}
