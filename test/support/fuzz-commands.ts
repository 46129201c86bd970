import type { Args, Command } from "../../cmd/command.ts";
import root from "../../cmd/root.ts";
import { subcommand } from "../../cmd/strict.ts";

/** A flag of a command, as the fuzz tries it. */
export interface FuzzFlag {
  name: string;
  type: string | undefined;
}

/** Every command of the tree, with its words and the flags that it takes; `init` and `join` come twice as often. */
export const COMMANDS: { words: string[]; flags: FuzzFlag[] }[] = [];

async function add(words: string[], command: Command): Promise<void> {
  const entry = { words, flags: flagsOf(command.args) };
  COMMANDS.push(entry, ...(words.length === 1 && /^(init|join)$/.test(words[0]!) ? [entry] : []));
  for (const name of Object.keys(command.subCommands ?? {}))
    await add([...words, name], (await subcommand(command, name))!);
}

const flagsOf = (args: Args): FuzzFlag[] =>
  Object.entries(args)
    .filter(([, arg]) => arg.type !== "positional")
    .map(([name, arg]) => ({ name, type: arg.type }));

await add([], root);
