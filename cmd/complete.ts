import { COMMON_ARGS } from "./args/common.ts";
import { type Arg, type Candidate, type Command, type Completes, command, type Given } from "./command.ts";
import root from "./root.ts";
import { findCommand, tokenize } from "./strict.ts";

/** What a shell can put in place of the last word; `files` says that names of files, or of directories, fit too. */
export interface Completion {
  candidates: Candidate[];
  files: "none" | "file" | "directory";
}

/** For the scripts of `kubestick completion`: `kubestick __complete -- WORDS...`, the last word being the one to complete. */
export default command({
  name: "__complete",
  description: "Print what can be put in place of the last word",
  hidden: true,
  args: {
    word: { type: "positional", required: false, rest: true, description: "The words after the program's name." },
    ...COMMON_ARGS,
  },
  examples: [],
  run: async ({ args, out }) => {
    const { candidates, files } = await complete(args._);
    // A line is one candidate, and what comes from a cluster may hold anything.
    for (const { value, about } of candidates)
      out.print(
        [value, about]
          .filter(Boolean)
          .map((text) => text!.replace(/\s+/g, " "))
          .join("\t"),
      );
    out.print(`:${files}`);
    out.report({ candidates, files });
  },
});

/** What fits in place of the last of the words after the program's name. */
export async function complete(words: readonly string[]): Promise<Completion> {
  const [before, current] = [words.slice(0, -1), words.at(-1) ?? ""];
  const { command, rest } = await findCommand(root, before);
  const given: Given = new Map();
  let [places, open] = [0, undefined as { name: string; arg: Arg } | undefined];
  for (const token of tokenize(rest, command.args)) {
    if (token.kind === "word") places++;
    else if (token.kind === "flag") {
      if (token.value === undefined) open = token;
      else given.set(token.name, token.value);
    }
  }
  const at: Place = { command, given };
  // What follows -- belongs to another program.
  if (rest.includes("--")) return { candidates: [], files: "file" };
  if (open) return values(at, open.arg, current, "");
  if (current.startsWith("-")) return flags(at, current);
  const subs = places === 0 ? await subcommands(command, current) : [];
  const positionals = Object.values(command.args).filter((arg) => arg.type === "positional");
  const arg = positionals[places] ?? positionals.find(({ rest }) => rest);
  const { candidates, files } = arg ? await values(at, arg, current, "") : { candidates: [], files: "none" as const };
  return { candidates: [...subs, ...candidates], files };
}

/** The command that a word belongs to, and the flags before it. */
interface Place {
  command: Command;
  given: Given;
}

async function subcommands({ subCommands = {} }: Command, current: string): Promise<Candidate[]> {
  const names = Object.keys(subCommands).filter((name) => name.startsWith(current) && !name.startsWith("_"));
  return names.map((value) => ({ value }));
}

function flags(at: Place, current: string): Completion | Promise<Completion> {
  const known = Object.entries(at.command.args).filter(([, arg]) => arg.type !== "positional");
  const [name = "", value] = current.replace(/^--?/, "").split(/=(.*)/s);
  if (value !== undefined) {
    const arg = known.find(([known]) => known === name)?.[1];
    return arg ? values(at, arg, value, `--${name}=`) : { candidates: [], files: "none" };
  }
  const free = known.filter(([name, arg]) => arg.list || !at.given.has(name));
  const candidates = [
    ...free.map(([name, arg]) => ({
      value: name.length === 1 ? `-${name}` : `--${name}`,
      about: arg.description ?? "",
    })),
    { value: "--help", about: "Show this help." },
  ].filter(({ value }) => value.startsWith(current));
  return { candidates: candidates.sort((a, b) => (a.value < b.value ? -1 : 1)), files: "none" };
}

/** The values of a flag or positional that begin as typed; of a list, those of its last item. */
async function values(at: Place, arg: Arg, typed: string, prefix: string): Promise<Completion> {
  const completes = arg.type === "enum" ? (arg.options ?? []) : arg.completes;
  const done = arg.list ? typed.slice(0, typed.lastIndexOf(",") + 1) : "";
  const item = typed.slice(done.length);
  const taken = done.split(",");
  const candidates = (await candidatesOf(at, completes))
    .filter(({ value }) => value.startsWith(item) && !taken.includes(value))
    .map(({ value, about }) => ({ value: `${prefix}${done}${value}`, ...(about ? { about } : {}) }));
  const files = completes === "file" || completes === "directory" ? completes : "none";
  return { candidates, files };
}

async function candidatesOf({ command, given }: Place, completes: Completes | undefined): Promise<Candidate[]> {
  if (completes === "phases") return [...(command.phases ?? [])];
  if (typeof completes === "function") {
    // A cluster that does not answer, or rights that are missing, leave the person to type it.
    return Promise.resolve(completes(given)).catch(() => []);
  }
  return typeof completes === "object" ? completes.map((value) => ({ value })) : [];
}
