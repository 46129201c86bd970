import { type ArgDef, type CommandDef, defineCommand, type ParsedArgs, type SubCommandsDef } from "citty";
import type { Output } from "./output.ts";

/** What a shell can put in a word's place; `about` is shown beside it where the shell can. */
export interface Candidate {
  value: string;
  about?: string;
}

/** Where the candidates for a word come from: the file system, the phases of
 * the command itself, fixed words, or a look at the cluster or the disk. */
export type Completes =
  | "file"
  | "directory"
  | "phases"
  | readonly string[]
  | ((given: Given) => Candidate[] | Promise<Candidate[]>);

/** The flags of a command line as they were written, by name; lists joined by commas, defaults left out. */
export type Given = Map<string, string>;

/** A flag, or a word after the command: citty's definition, and what the strict layer, help and completion need besides. */
export type Arg = ArgDef & {
  alias?: string;
  /** A flag that takes a comma-separated list, and can be given several times. */
  list?: true;
  /** A positional that takes every word that is left. */
  rest?: true;
  /** What a flag stands for that is given without a value. */
  bare?: string;
  /** The question to whoever leaves a required positional out. */
  ask?: string;
  /** Can stand beside --config, as with kubeadm; the others belong into the file then. */
  besideConfig?: true;
  /** Not a flag of kubeadm's command of the same name. */
  own?: true;
  completes?: Completes;
};

/** A command's flags and positionals by name, in the order in which positionals are read. */
export type Args = Record<string, Arg>;

/** Keeps the literal types of a group of arguments that several commands share. */
export const args = <const T extends Args>(group: T): T => group;

/** What a command works with: its arguments as citty reads them, the flags as they were written, and where words go. */
export interface Run<T extends Args> {
  args: ParsedArgs<T>;
  given: Given;
  out: Output;
}

/** A command line to copy, and what it does. */
export type Example = readonly [what: string, line: string];

/** A command of the tree: citty's, and what help and completion tell of it. */
export interface Command extends Pick<CommandDef, "run"> {
  meta: { name: string; description: string; hidden?: boolean };
  args: Args;
  /** Whether kubeadm has this command, so that flags of kubestick's own are told apart. */
  kubeadm: boolean;
  examples: readonly Example[];
  /** How positionals are written, where their definitions do not say it. */
  synopsis?: string | undefined;
  /** The phases that the command runs, by full name in the order of running. */
  phases?: readonly Candidate[] | undefined;
  /** Topics of `kubestick help` that explain more. */
  topics?: readonly string[] | undefined;
  subCommands?: SubCommandsDef;
}

/** Defines a command that does something. What it reports through `out` is printed once it has ended. */
export function command<const T extends Args>(definition: {
  name: string;
  description: string;
  hidden?: boolean;
  kubeadm?: boolean;
  args: T;
  examples: readonly Example[];
  synopsis?: string;
  phases?: readonly Candidate[];
  topics?: readonly string[];
  subCommands?: SubCommandsDef;
  run: (context: Run<T>) => void | Promise<void>;
}): Command {
  const { name, description, hidden = false, run, kubeadm = false, ...rest } = definition;
  const { run: start } = defineCommand<T>({
    run: ({ args, data }) => run({ args, ...(data as Omit<Run<T>, "args">) }),
  });
  return { ...rest, kubeadm, run: start as CommandDef["run"], meta: { name, description, hidden } };
}

/** Defines a command that only holds others. */
export function group(definition: {
  name: string;
  description: string;
  kubeadm?: boolean;
  args: Args;
  examples: readonly Example[];
  topics?: readonly string[];
  subCommands: SubCommandsDef;
}): Command {
  const { name, description, kubeadm = false, ...rest } = definition;
  return { ...rest, kubeadm, meta: { name, description } };
}
