import { type FlatPhase, flatten, type Phase } from "../lib/phases/runner.ts";
import { COMMON_ARGS } from "./args/common.ts";
import { type Args, type Candidate, type Command, command, type Run } from "./command.ts";

/** What the commands of one phase list have in common. */
export interface PhaseCommands<C, T extends Args> {
  /** `init`, `join` or `reset`. */
  verb: string;
  phases: Phase<C>[];
  /** The arguments of one phase's command. */
  args: (phase: Phase<C>) => T;
  /** What can follow a phase's own words: `["By a configuration file", "--config kubeadm.yaml"]`. */
  ways: readonly (readonly [what: string, words: string])[];
  /** An example of a phase and what follows its name: `["Makes the certificates", "certs all"]`. */
  examples: readonly (readonly [what: string, words: string])[];
  run: (words: string[], context: Run<T>) => Promise<void>;
}

/** The phases as help and completion show them. */
export const phasesOf = <C>(phases: Phase<C>[]): Candidate[] =>
  flatten(phases).map(({ path, phase }) => ({ value: path, about: phase.short }));

/** `kubestick VERB phase`, with a command for each phase and its parts, made from the list that the verb itself runs. */
export function phaseCommands<C, T extends Args>(of: PhaseCommands<C, T>): Command {
  return {
    meta: { name: "phase", description: `Run a single phase of ${of.verb}`, hidden: false },
    args: COMMON_ARGS,
    kubeadm: true,
    examples: of.examples.map(([what, words]) => [what, `kubestick ${of.verb} phase ${words}`]),
    phases: phasesOf(of.phases),
    subCommands: subCommands(of, flatten(of.phases), ""),
  };
}

function subCommands<C, T extends Args>(of: PhaseCommands<C, T>, all: FlatPhase<C>[], below: string) {
  const depth = below.split("/").length - 1;
  const here = all.filter(({ path, depth: d }) => d === depth && path.startsWith(below));
  return Object.fromEntries(here.map((flat) => [flat.phase.name, onePhase(of, all, flat)]));
}

function onePhase<C, T extends Args>(
  of: PhaseCommands<C, T>,
  all: FlatPhase<C>[],
  { path, phase }: FlatPhase<C>,
): Command {
  const words = path.split("/");
  const whole = command({
    name: phase.name,
    description: phase.short,
    kubeadm: true,
    args: of.args(phase),
    examples: of.ways.map(([what, more]) => [what, `kubestick ${of.verb} phase ${words.join(" ")} ${more}`.trim()]),
    run: (context) => of.run(words, context),
  });
  if (!phase.children) return whole;
  // kubeadm names the whole of a phase that has parts `all`.
  return { ...whole, subCommands: { all: whole, ...subCommands(of, all, `${path}/`) } };
}
