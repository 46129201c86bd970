import type { Command } from "../../cmd/command.ts";
import root from "../../cmd/root.ts";
import { subcommand } from "../../cmd/strict.ts";

/** A command of kubestick's tree, with its words. */
export interface Placed {
  words: string[];
  command: Command;
}

/** Every command of kubestick's tree, the root first, hidden ones too. */
export async function everyCommand(words: string[] = [], command: Command = root): Promise<Placed[]> {
  const below = Object.keys(command.subCommands ?? {}).map(async (name) =>
    everyCommand([...words, name], (await subcommand(command, name))!),
  );
  return [{ words, command }, ...(await Promise.all(below)).flat()];
}

/** The words of a command line as a person writes it, with quotes where they are needed. */
export const shellWords = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare!);
