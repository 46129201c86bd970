import { UsageError } from "../lib/errors.ts";
import { suggest } from "../lib/util/suggest.ts";
import type { Arg, Args, Command, Given } from "./command.ts";

// citty 0.2 takes what it does not know, keeps the last of what is given twice, looks for a subcommand in every
// positional, and runs a parent after its subcommand. All that a command line may hold is decided here; citty gets one
// command, with its words in one spelling.

/** The command that a command line names, and the words that are left for it. */
export interface Found {
  /** The command's words: `["token", "create"]`. */
  path: string[];
  command: Command;
  rest: string[];
  /** Whether --help or -h is among the words. */
  help: boolean;
}

/** A command line that fits its command: for citty, in one spelling, and the flags as they were written. */
export interface Checked {
  rawArgs: string[];
  given: Given;
  positionals: string[];
}

/** A piece of a command line: a flag that the command knows, one that it does not, or a word. */
export type Token =
  | { kind: "flag"; name: string; arg: Arg; value: string | undefined }
  | { kind: "unknown"; written: string }
  | { kind: "word"; word: string };

/** A command's subcommand of that name, loaded; undefined where there is none. */
export async function subcommand(command: Command, name: string): Promise<Command | undefined> {
  const { subCommands = {} } = command;
  if (!Object.hasOwn(subCommands, name)) return undefined;
  const sub = subCommands[name];
  return (await (typeof sub === "function" ? sub() : sub)) as Command;
}

/** Goes down the tree as far as the words go, loading what is on the way; flags may stand between the words. */
export async function findCommand(root: Command, argv: readonly string[]): Promise<Found> {
  // What follows `--` belongs to a program that kubestick runs.
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const isHelp = (word: string, at: number) => at < end && (word === "--help" || word === "-h");
  const words = argv.filter((word, at) => !isHelp(word, at));
  const found: Found = { path: [], command: root, rest: [], help: argv.some(isHelp) };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--") return { ...found, rest: [...found.rest, ...words.slice(at)] };
    const { token, took } = flagAt(words, at, found.command.args) ?? {};
    if (token) {
      found.rest.push(...words.slice(at, at + took!));
      at += took! - 1;
      continue;
    }
    const next = await subcommand(found.command, word);
    if (!next) return { ...found, rest: [...found.rest, ...words.slice(at)] };
    found.path.push(word);
    found.command = next;
  }
  return found;
}

/** The flag at a place of a command line, and how many words it takes; undefined where a word or `--` is. */
function flagAt(words: readonly string[], at: number, args: Args): { token: Token; took: number } | undefined {
  const word = words[at]!;
  if (!word.startsWith("-") || word === "-" || word === "--") return undefined;
  const [left = "", ...right] = word.replace(/^--?/, "").split("=");
  const short = /^-v(\d+)$/.exec(word);
  const [name, arg] = flagNamed(args, short ? "v" : left) ?? [];
  if (!name || !arg) return { token: { kind: "unknown", written: word.split("=")[0]! }, took: 1 };
  const flag = (value: string | undefined, took: number) => ({
    token: { kind: "flag", name, arg, value } as const,
    took,
  });
  if (short) return flag(short[1], 1);
  if (right.length > 0) return flag(right.join("="), 1);
  if (arg.type === "boolean") return flag("true", 1);
  const next = words[at + 1];
  if (arg.bare !== undefined) return /^\d+$/.test(next ?? "") ? flag(next, 2) : flag(arg.bare, 1);
  return next === undefined ? flag(undefined, 1) : flag(next, 2);
}

function flagNamed(args: Args, name: string): [string, Arg] | undefined {
  return Object.entries(args).find(
    ([known, arg]) => arg.type !== "positional" && (known === name || arg.alias === name),
  );
}

/** The pieces of a command line, by a command's arguments; all that follows `--` is words. */
export function* tokenize(words: readonly string[], args: Args): Generator<Token> {
  for (let at = 0; at < words.length; at++) {
    if (words[at] === "--") {
      for (const word of words.slice(at + 1)) yield { kind: "word", word };
      return;
    }
    const flag = flagAt(words, at, args);
    yield flag?.token ?? { kind: "word", word: words[at]! };
    at += (flag?.took ?? 1) - 1;
  }
}

/** Checks what is left of a command line against its command. Throws UsageError, with a suggestion, for what does not fit. */
export async function checkArgs(found: Found): Promise<Checked> {
  const { command, path, rest } = found;
  const given: Given = new Map();
  const positionals: string[] = [];
  for (const token of tokenize(rest, command.args)) {
    if (token.kind === "word") positionals.push(token.word);
    else if (token.kind === "unknown") throw unknownFlag(token.written, command.args);
    else addFlag(given, token.name, token.arg, token.value);
  }
  const places = Object.entries(command.args).filter(([, arg]) => arg.type === "positional");
  const most = places.some(([, arg]) => arg.rest) ? Number.POSITIVE_INFINITY : places.length;
  if (positionals.length > most) throw await unknownCommand(found, positionals);
  const line = ["kubestick", ...path].join(" ");
  if (!command.run) {
    if (rest.length > 0 && path.length === 0)
      throw new UsageError("which command? there are only flags", "kubestick --help lists the commands");
    throw new UsageError(path.at(-1) === "phase" ? "which phase?" : "which command?", `${line} --help lists them`);
  }
  for (const [at, [name, arg]] of places.entries())
    if (arg.required !== false && positionals[at] === undefined)
      throw new UsageError(arg.ask ?? `which ${name}?`, `${line} ${name.toUpperCase()}`);
  const flags = [...given].map(([name, value]) => `--${name}=${value}`);
  return { rawArgs: positionals.length > 0 ? [...flags, "--", ...positionals] : flags, given, positionals };
}

function addFlag(given: Given, name: string, arg: Arg, value: string | undefined): void {
  if (value === undefined)
    throw new UsageError(`--${name} needs a value`, `write --${name}=${arg.valueHint ?? "VALUE"}`);
  const allowed = arg.type === "boolean" ? ["true", "false"] : arg.type === "enum" ? arg.options : undefined;
  if (allowed && !allowed.includes(value))
    throw new UsageError(`--${name} is ${allowed.join(" or ")}, not ${JSON.stringify(value)}`);
  const before = given.get(name);
  if (before !== undefined && !arg.list && before !== value)
    throw new UsageError(`--${name} is given twice`, "keep one of the two");
  given.set(name, arg.list && before !== undefined ? `${before},${value}` : value);
}

function unknownFlag(written: string, args: Args): UsageError {
  const known = Object.entries(args).filter(([, arg]) => arg.type !== "positional");
  const near = suggest(
    written.replace(/^--?/, ""),
    known.map(([name]) => name),
  );
  return new UsageError(`unknown flag: ${written}`, near ? `did you mean --${near}?` : "--help lists the flags");
}

/** Says that words name no command, and which one is meant. */
export async function unknownCommand({ command, path }: Found, positionals: string[]): Promise<UsageError> {
  const near = await nearest(command, positionals);
  const line = (words: string[]) => ["kubestick", ...path, ...words].join(" ");
  return new UsageError(
    `unknown command "${[...path, ...positionals].join(" ")}"`,
    near.length > 0 || command.run ? `did you mean "${line(near)}"?` : `${line(["--help"])} lists the commands`,
  );
}

/** The subcommands that mistyped words mean, as far as they are near to any. */
async function nearest(command: Command, [word, ...more]: string[]): Promise<string[]> {
  if (word === undefined) return [];
  const { subCommands = {} } = command;
  const name = Object.hasOwn(subCommands, word)
    ? word
    : suggest(
        word,
        Object.keys(subCommands).filter((known) => !known.startsWith("_")),
      );
  if (name === undefined) return [];
  return more.length === 0 ? [name] : [name, ...(await nearest((await subcommand(command, name))!, more))];
}
