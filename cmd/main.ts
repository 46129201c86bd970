import { type CommandDef, runCommand } from "citty";
import { UsageError } from "../lib/errors.ts";
import { Output } from "./output.ts";
import root from "./root.ts";
import { checkArgs, findCommand } from "./strict.ts";

/** Other ways to ask for the version. */
const usualWords = ([first, ...rest]: string[]): string[] => {
  if (first === undefined) return ["--help"];
  return first === "--version" ? ["version", ...rest] : [first, ...rest];
};

/** Runs a command line. Returns the exit code; every error is printed, none escapes with a stack trace. */
export async function main(words: string[]): Promise<number> {
  const argv = usualWords(words);
  const out = new Output(argv);
  try {
    const found = await findCommand(root, argv);
    const { command, help, path } = found;
    out.command = path.join(" ") || "kubestick";
    if (help) {
      const { showHelp } = await import("./help.ts");
      await showHelp(found, out);
      return out.done();
    }
    const { rawArgs, given } = await checkArgs(found);
    out.json = given.get("output") === "json";
    out.verbosity = verbosity(given.get("v"));
    // Subcommands are found already; citty would look for one among the positionals.
    await runCommand({ run: command.run, args: command.args } as CommandDef, { rawArgs, data: { given, out } });
    return out.done();
  } catch (thrown) {
    return out.failed(thrown);
  }
}

/** The level of -v. Throws UsageError when it is no number. */
function verbosity(text = "0"): number {
  if (!/^\d{1,2}$/.test(text)) throw new UsageError(`-v takes a number, not ${JSON.stringify(text)}`);
  return Number(text);
}
