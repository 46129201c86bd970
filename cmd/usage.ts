import { styleText } from "node:util";
import { oneLine } from "../lib/ui/text.ts";
import { takesColor } from "../lib/ui/ui.ts";
import type { Arg, Command } from "./command.ts";
import { subcommand } from "./strict.ts";

/** A line of a list in a help text. */
export interface Entry {
  name: string;
  about: string;
}

/** All that the help of a command says; `--help --output json` prints it. */
export interface Usage {
  command: string;
  description: string;
  /** How it is written, in each way. */
  synopsis: string[];
  examples: { what: string; line: string }[];
  words: Entry[];
  commands: Entry[];
  phases: Entry[];
  options: { title: string; flags: Entry[] }[];
  /** Topics that explain more. */
  topics: string[];
}

const WIDEST_NAME = 34;
const MIN_WIDTH = 40;
/** Where no terminal says how wide it is. */
const WIDTH = 100;
const MAX_WIDTH = 120;

/** What the help of a command says. Loads its subcommands for their descriptions. */
export async function usageOf(path: readonly string[], command: Command): Promise<Usage> {
  const line = ["kubestick", ...path].join(" ");
  const names = Object.keys(command.subCommands ?? {});
  const subs = await Promise.all(names.map(async (name) => [name, (await subcommand(command, name))!] as const));
  const shown = subs.filter(([, sub]) => !sub.meta.hidden);
  // The list of phases says it already.
  const commands = command.phases && !command.run ? [] : shown;
  const flags = Object.entries(command.args).filter(([, arg]) => arg.type !== "positional");
  return {
    command: line,
    description: command.meta.description,
    synopsis: [
      ...(command.run ? [[line, wordsOf(command)].join(" ").trim()] : []),
      ...(shown.length > 0 ? [`${line} ${below(command, names)} [OPTIONS]`] : []),
    ],
    examples: command.examples.map(([what, line]) => ({ what, line })),
    words: Object.entries(command.args)
      .filter(([, arg]) => arg.type === "positional")
      .map(([name, arg]) => ({ name: positionalName(name, arg), about: arg.description ?? "" })),
    commands: commands.map(([name, sub]) => ({ name, about: sub.meta.description })),
    phases: (command.phases ?? []).map(({ value, about = "" }) => {
      const parts = value.split("/");
      return { name: `${"  ".repeat(parts.length - 1)}${parts.length > 1 ? "/" : ""}${parts.at(-1)}`, about };
    }),
    options: groupsOf(command, flags),
    topics: [...(command.topics ?? [])],
  };
}

/** How the words below a command are called. */
function below(command: Command, names: string[]): string {
  if (!command.run) return command.phases ? "PHASE" : "COMMAND";
  return names.includes("phase") ? "phase PHASE" : "PART";
}

const positionalName = (name: string, arg: Arg) => arg.valueHint ?? name.toUpperCase();

/** The words that may follow a command's own. */
function wordsOf({ args, synopsis }: Command): string {
  const words = Object.entries(args)
    .filter(([, arg]) => arg.type === "positional")
    .map(([name, arg]) => {
      const shown = `${positionalName(name, arg)}${arg.rest ? "..." : ""}`;
      return arg.required === false && !arg.rest ? `[${shown}]` : shown;
    })
    .join(" ");
  const all = synopsis ?? words;
  return all.includes("[OPTIONS]") ? all : `${all} [OPTIONS]`.trim();
}

/** Flags by who knows them: kubeadm's first, then kubestick's own, then those of every command. */
function groupsOf(command: Command, flags: [string, Arg][]): Usage["options"] {
  const common = (name: string) => name === "output" || name === "v";
  const groups: [title: string, holds: (name: string, arg: Arg) => boolean][] = command.kubeadm
    ? [
        ["Options", (name, arg) => !common(name) && !arg.own],
        ["Options that kubeadm does not have", (name, arg) => !common(name) && arg.own === true],
      ]
    : [["Options", (name) => !common(name)]];
  const entries = (holds: (name: string, arg: Arg) => boolean) =>
    flags
      .filter(([name, arg]) => holds(name, arg))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, arg]) => flagEntry(name, arg));
  const help = { name: "-h, --help", about: "Show this help." };
  return [
    ...groups.map(([title, holds]) => ({ title, flags: entries(holds) })),
    { title: "Options of every command", flags: [help, ...entries(common)] },
  ].filter((group) => group.flags.length > 0);
}

function flagEntry(name: string, arg: Arg): Entry {
  const value = arg.type === "enum" ? (arg.options ?? []).join("|") : arg.type === "boolean" ? "" : arg.valueHint;
  const { alias } = arg;
  const written = name.length === 1 ? `-${name}` : `${alias ? `-${alias}, ` : ""}--${name}`;
  const description = arg.description ?? "";
  return {
    name: value ? `${written} ${value}` : written,
    about: arg.default === undefined ? description : `${description.replace(/\.$/, "")} (default ${arg.default}).`,
  };
}

/** How wide help may be: as the terminal is, within reason. */
export const helpWidth = (stream: { columns?: number }): number =>
  Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, stream.columns || WIDTH));

/** A help text, left-aligned and wrapped to a width, with bold headings where colours may go to standard output. */
export function formatUsage(usage: Usage, width: number, topics: Entry[] = []): string {
  const color = takesColor(process.stdout);
  const heading = (text: string) => (color ? styleText("bold", `${text}:`) : `${text}:`);
  const list = (title: string, entries: Entry[]) =>
    entries.length > 0 ? `${heading(title)}\n${formatEntries(entries, width)}` : "";
  const examples = usage.examples.map(
    ({ what, line }) => `${wrap(`# ${what}`, width, "  ")}\n${wrapLine(line, width)}`,
  );
  return [
    wrap(usage.description, width),
    `${heading("Usage")}\n${usage.synopsis.map((line) => `  ${line}`).join("\n")}`,
    `${heading("Examples")}\n${examples.join("\n\n")}`,
    list("Arguments", usage.words),
    list("Commands", usage.commands),
    list("Phases, in the order of running", usage.phases),
    ...usage.options.map(({ title, flags }) => list(title, flags)),
    list("Topics (kubestick help TOPIC)", topics),
    usage.topics.length > 0
      ? `${heading("More")}\n${usage.topics.map((topic) => `  kubestick help ${topic}`).join("\n")}`
      : "",
  ]
    .filter(Boolean)
    .join("\n\n");
}

/** Names in a column, and what is said of each beside it, or below a long name. */
function formatEntries(entries: Entry[], width: number): string {
  const widest = Math.max(...entries.map(({ name }) => name.length));
  const column = Math.min(widest, WIDEST_NAME, Math.floor(width / 2)) + 4;
  return entries
    .map(({ name, about }) => {
      const text = wrap(about, width, " ".repeat(column)).slice(column);
      if (!text) return `  ${name}`;
      const fits = name.length + 4 <= column;
      return fits ? `  ${name.padEnd(column - 2)}${text}` : `  ${name}\n${" ".repeat(column)}${text}`;
    })
    .join("\n");
}

/** Text in lines of at most a width, each after the same indentation; a longer word has a line of its own. */
export function wrap(text: string, width: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of oneLine(text).split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => indent + each).join("\n");
}

/** A command line that is too long in lines to copy, each after the first beginning with a flag. */
function wrapLine(line: string, width: number): string {
  if (line.length + 2 <= width) return `  ${line}`;
  const [first = "", ...flags] = line.split(/ (?=--)/);
  return [`  ${first}`, ...flags.map((flag) => `      ${flag}`)].join(" \\\n");
}
