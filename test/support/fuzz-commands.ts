import { everyCommand } from "./tree.ts";

/** A flag of a command, as the fuzz tries it. */
export interface FuzzFlag {
  name: string;
  type: string | undefined;
}

/** Every command of the tree, with its words and the flags that it takes; `init` and `join` come twice as often. */
export const COMMANDS: { words: string[]; flags: FuzzFlag[] }[] = (await everyCommand()).flatMap(
  ({ words, command }) => {
    const flags = Object.entries(command.args)
      .filter(([, arg]) => arg.type !== "positional")
      .map(([name, arg]) => ({ name, type: arg.type }));
    const often = words.length === 1 && /^(init|join)$/.test(words[0]!);
    return often
      ? [
          { words, flags },
          { words, flags },
        ]
      : [{ words, flags }];
  },
);
