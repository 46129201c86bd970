import { reason, UsageError } from "../errors.ts";
import type { Say, Ui } from "../ui/ui.ts";
import { suggest } from "../util/suggest.ts";

/** Says one line of what a phase does; the runner puts the phase's name before it. */
export interface Step extends Say {
  /** Lines that replace themselves on a terminal, one for each thing that is waited for. */
  live(...lines: string[]): void;
}

/** When a phase runs. */
export interface Condition<C> {
  holds: (ctx: C) => boolean;
  /** Why it does not run where this does not hold. */
  otherwise: string;
}

/** A step of a command, as data: one list gives the order of running, `--skip-phases`, `phase X`, help and the reference. */
export interface Phase<C> {
  name: string;
  short: string;
  /** What stands before its lines: its own name, or that of the phase that it is part of, where nothing else is said. */
  tag?: string;
  /** Needs the running host: services, the container runtime, the API. Refused on another root. */
  live?: boolean;
  when?: Condition<C>;
  /** What must be there: files of the host, objects of the API as `Kind namespace/name`, `service NAME`. */
  inputs?: string[];
  /** What is there afterwards, in the same words. */
  outputs?: string[];
  run?: (ctx: C, step: Step) => Promise<void> | void;
  /** Takes back what `run` had begun when it failed, so that nothing half-made is in others' way. */
  undo?: (ctx: C, step: Step) => Promise<void> | void;
  children?: Phase<C>[];
  /** Names of the flags that `phase X` takes besides the global ones. */
  flags?: string[];
}

/** A phase as a list shows it: with the condition under which it runs. */
export const when = <C>(condition: Condition<NoInfer<C>>, phase: Phase<C>): Phase<C> => ({ ...phase, when: condition });

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

/** The phases at the top of a list: running them runs it all. */
export const wholeOf = <C>(phases: Phase<C>[]): FlatPhase<C>[] =>
  phases.map((phase) => ({ path: phase.name, phase, depth: 0 }));

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

interface RunOptions {
  skip: Set<string>;
  ui: Ui;
  results: PhaseResult[];
}

/** Runs phases in order; a failure ends the run and is thrown after it is noted in `results`. */
export async function runPhases<C>(phases: FlatPhase<C>[], ctx: C, options: RunOptions): Promise<void> {
  for (const { path, phase } of phases) await runOne(path, phase, ctx, options);
}

async function runOne<C>(
  path: string,
  phase: Phase<C>,
  ctx: C,
  options: RunOptions,
  tag = phase.tag ?? path.split("/")[0]!,
): Promise<void> {
  const { ui, results, skip } = options;
  const holds = phase.when?.holds(ctx) ?? true;
  const why = skip.has(path) ? "--skip-phases" : holds ? undefined : phase.when?.otherwise;
  if (why !== undefined) {
    ui.detail(`phase ${path} is skipped: ${why}`);
    results.push({ phase: path, status: "skipped", reason: why, milliseconds: 0 });
    return;
  }
  ui.detail(`phase ${path} begins`);
  const started = performance.now();
  const took = () => Math.round(performance.now() - started);
  try {
    await runOrUndo(phase, ctx, stepOf(ui, tag), ui);
    for (const child of phase.children ?? [])
      await runOne(`${path}/${child.name}`, child, ctx, options, child.tag ?? tag);
  } catch (error) {
    // The innermost phase is the one that failed; those around it only pass the error on.
    if (!results.some((r) => r.status === "failed")) {
      results.push({ phase: path, status: "failed", reason: reason(error), milliseconds: took() });
    }
    throw error;
  }
  results.push({ phase: path, status: "done", milliseconds: took() });
}

const stepOf = (ui: Ui, tag: string): Step =>
  Object.assign((text: string) => ui.step(tag, text), { live: (...lines: string[]) => ui.live(tag, lines) });

/** Runs a phase's own part. What fails is taken back where that can be; the first failure is the one that counts. */
async function runOrUndo<C>({ name, run, undo }: Phase<C>, ctx: C, step: Step, ui: Ui): Promise<void> {
  try {
    await run?.(ctx, step);
  } catch (error) {
    try {
      await undo?.(ctx, step);
    } catch (second) {
      ui.warn(`what ${name} had begun could not be taken back: ${reason(second)}`);
    }
    throw error;
  }
}

/** Runs a phase with its parts as a piece of another command's phase, whose result is the only one noted. */
export async function runWhole<C>(phase: Phase<C>, ctx: C, ui: Ui): Promise<void> {
  await runOne(phase.name, phase, ctx, { skip: new Set(), ui, results: [] });
}
