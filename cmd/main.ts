import { stripVTControlCharacters } from "node:util";
import { type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { EXIT, KubestickError, reason, systemError, UsageError } from "../lib/errors.ts";
import { INIT_PHASES } from "../lib/phases/init/init.ts";
import { JOIN_PHASES } from "../lib/phases/join/join.ts";
import { RESET_PHASES } from "../lib/phases/reset/reset.ts";
import { flatten, type Phase, phaseHelp } from "../lib/phases/runner.ts";
import { paragraph, printable } from "../lib/ui/text.ts";
import { formatError, printText, takesColor } from "../lib/ui/ui.ts";
import { suggest } from "../lib/util/suggest.ts";
import {
  attachCommand,
  detachCommand,
  extractCommand,
  inspectCommand,
  listCommand,
  loadCommand,
  serveCommand,
  verifyCommand,
} from "./bundle.ts";
import { createCommand, lockCommand } from "./bundle-create.ts";
import { BUNDLE_FLAGS } from "./bundle-flags.ts";
import { argsDef, type Flag, GLOBAL_FLAGS, normalizeFlags } from "./flags.ts";
import { runInit } from "./init.ts";
import { INIT_FLAGS, PHASE_FLAGS } from "./init-flags.ts";
import { JOIN_FLAGS, runJoin } from "./join.ts";
import { LAB_FLAGS, labDownCommand, labShellCommand, labStatusCommand, labUpCommand } from "./lab.ts";
import { RESET_FLAGS, runReset } from "./reset.ts";
import {
  createTokenCommand,
  deleteTokensCommand,
  generateTokenCommand,
  listTokensCommand,
  TOKEN_CREATE_FLAGS,
  TOKEN_FLAGS,
} from "./token.ts";
import { VERIFY_FLAGS, verifyRelease } from "./verify.ts";
import { runVersion } from "./version.ts";

/** One command of the tree: its words, flags and what it runs. */
interface Command {
  words: string[];
  description: string;
  flags: Flag[];
  /** Words that follow the command's own. */
  positionals?: number;
  /** More help, below the flags. */
  help?: () => string;
  run: (given: Map<string, string>, positionals: string[]) => Promise<void> | void;
}

/** `init phase X` or `join phase X`, for each phase and its parts. */
function phaseCommands<C>(
  verb: string,
  phases: Phase<C>[],
  command: (phase: Phase<C>, words: string[]) => Pick<Command, "flags" | "positionals" | "run">,
): Command[] {
  return flatten(phases).flatMap(({ path, phase }) => {
    const words = path.split("/");
    const whole = { words: [verb, "phase", ...words], description: phase.short, ...command(phase, words) };
    // kubeadm names the whole of a phase that has parts `all`.
    return phase.children ? [whole, { ...whole, words: [...whole.words, "all"] }] : [whole];
  });
}

const PHASE_COMMANDS: Command[] = [
  ...phaseCommands("init", INIT_PHASES, (phase, words) => ({
    flags: INIT_FLAGS.filter((f) => PHASE_FLAGS.includes(f.name) || phase.flags?.includes(f.name)),
    run: (given) => runInit(given, words),
  })),
  ...phaseCommands("join", JOIN_PHASES, (_, words) => ({
    flags: JOIN_FLAGS,
    positionals: 1,
    run: (given, positionals) => runJoin(given, positionals, words),
  })),
  ...phaseCommands("reset", RESET_PHASES, (_, words) => ({
    flags: RESET_FLAGS,
    run: (given) => runReset(given, words),
  })),
];

const BUNDLE_COMMANDS: Command[] = [
  {
    words: ["bundle", "lock"],
    description: "Pin every image and host binary of a Kubernetes version in a lock file",
    flags: BUNDLE_FLAGS.lock,
    run: lockCommand,
  },
  {
    words: ["bundle", "create"],
    description: "Make a bundle of what this kubestick or a lock file pins, or of images and programs on this machine",
    flags: BUNDLE_FLAGS.create,
    positionals: 1,
    run: createCommand,
  },
  {
    words: ["bundle", "inspect"],
    description: "Say what a bundle is",
    flags: BUNDLE_FLAGS.read,
    positionals: 1,
    run: inspectCommand,
  },
  {
    words: ["bundle", "list"],
    description: "List a bundle's images and host binaries",
    flags: BUNDLE_FLAGS.read,
    positionals: 1,
    run: listCommand,
  },
  {
    words: ["bundle", "verify"],
    description: "Read a bundle through and check every digest",
    flags: BUNDLE_FLAGS.read,
    positionals: 1,
    run: verifyCommand,
  },
  {
    words: ["bundle", "extract"],
    description: "Write a bundle's host binaries and manifests into a directory",
    flags: BUNDLE_FLAGS.extract,
    positionals: 2,
    run: extractCommand,
  },
  {
    words: ["bundle", "attach"],
    description: "Make one file of a kubestick executable and a bundle",
    flags: BUNDLE_FLAGS.attach,
    positionals: 1,
    run: attachCommand,
  },
  {
    words: ["bundle", "detach"],
    description: "Take the bundle off an executable, and keep it in a file where one is named",
    flags: BUNDLE_FLAGS.attach,
    positionals: 1,
    run: detachCommand,
  },
  {
    words: ["bundle", "load"],
    description: "Install a bundle's host binaries here and import its images into containerd",
    flags: BUNDLE_FLAGS.load,
    positionals: 1,
    run: loadCommand,
  },
  {
    words: ["bundle", "serve"],
    description: "Offer the executable, the bundle and a read-only registry to the LAN",
    flags: BUNDLE_FLAGS.serve,
    positionals: 1,
    run: serveCommand,
  },
];

const LAB_COMMANDS: Command[] = [
  {
    words: ["lab", "up"],
    description: "Make a cluster whose nodes are namespaces of this machine, or go on with it",
    flags: LAB_FLAGS.up,
    run: labUpCommand,
  },
  {
    words: ["lab", "status"],
    description: "Show a lab's nodes",
    flags: LAB_FLAGS.common,
    run: labStatusCommand,
  },
  {
    words: ["lab", "shell"],
    description: "Open a shell in a node of a lab, or run the command that follows --",
    flags: LAB_FLAGS.common,
    positionals: Number.POSITIVE_INFINITY,
    run: labShellCommand,
  },
  {
    words: ["lab", "down"],
    description: "Take a lab down, with everything that it made on this machine",
    flags: LAB_FLAGS.common,
    run: labDownCommand,
  },
];

const COMMANDS: Command[] = [
  {
    words: ["init"],
    description: "Set up the Kubernetes control plane on this host",
    flags: INIT_FLAGS,
    help: () => `The "init" command executes the following phases:\n\n${phaseHelp(INIT_PHASES)}\n`,
    run: (given) => runInit(given, []),
  },
  {
    words: ["init", "phase"],
    description: "Run a single phase of init",
    flags: GLOBAL_FLAGS,
    help: () => `Phases:\n\n${phaseHelp(INIT_PHASES)}\n`,
    run: () => {
      throw new UsageError("which phase?", "kubestick init phase --help lists them");
    },
  },
  ...PHASE_COMMANDS,
  {
    words: ["version"],
    description: "Print the version of kubestick and of the Kubernetes it installs",
    flags: GLOBAL_FLAGS,
    run: runVersion,
  },
  {
    words: ["join"],
    description: "Join this host to a cluster, as a worker or a control plane",
    flags: JOIN_FLAGS,
    positionals: 1,
    help: () => `kubestick join HOST:PORT; the command executes the following phases:\n\n${phaseHelp(JOIN_PHASES)}\n`,
    run: (given, positionals) => runJoin(given, positionals),
  },
  {
    words: ["join", "phase"],
    description: "Run a single phase of join",
    flags: GLOBAL_FLAGS,
    help: () => `Phases:\n\n${phaseHelp(JOIN_PHASES)}\n`,
    run: () => {
      throw new UsageError("which phase?", "kubestick join phase --help lists them");
    },
  },
  {
    words: ["reset"],
    description: "Take everything off this host that kubestick put on it",
    flags: RESET_FLAGS,
    help: () => `The "reset" command executes the following phases:\n\n${phaseHelp(RESET_PHASES)}\n`,
    run: (given) => runReset(given),
  },
  {
    words: ["reset", "phase"],
    description: "Run a single phase of reset",
    flags: GLOBAL_FLAGS,
    help: () => `Phases:\n\n${phaseHelp(RESET_PHASES)}\n`,
    run: () => {
      throw new UsageError("which phase?", "kubestick reset phase --help lists them");
    },
  },
  {
    words: ["token"],
    description: "Manage bootstrap tokens",
    flags: GLOBAL_FLAGS,
    help: () => "Commands: token create, token delete, token generate, token list\n",
    run: () => {
      throw new UsageError("which of create, delete, generate, list?", "kubestick token create --help shows its flags");
    },
  },
  {
    words: ["token", "create"],
    description: "Create bootstrap tokens on the server",
    flags: TOKEN_CREATE_FLAGS,
    positionals: 1,
    run: createTokenCommand,
  },
  {
    words: ["token", "delete"],
    description: "Delete bootstrap tokens on the server",
    flags: TOKEN_FLAGS,
    positionals: Number.POSITIVE_INFINITY,
    run: deleteTokensCommand,
  },
  {
    words: ["token", "generate"],
    description: "Generate and print a bootstrap token, but do not create it on the server",
    flags: GLOBAL_FLAGS,
    run: generateTokenCommand,
  },
  {
    words: ["token", "list"],
    description: "List bootstrap tokens on the server",
    flags: TOKEN_FLAGS,
    run: listTokensCommand,
  },
  {
    words: ["bundle"],
    description: "Make and use offline bundles of images and host binaries",
    flags: GLOBAL_FLAGS,
    help: () => commandsHelp(BUNDLE_COMMANDS),
    run: () => {
      throw new UsageError("which command?", "kubestick bundle --help lists them");
    },
  },
  ...BUNDLE_COMMANDS,
  {
    words: ["lab"],
    description: "A whole cluster on this machine, to try, to teach and to test",
    flags: GLOBAL_FLAGS,
    help: () => commandsHelp(LAB_COMMANDS),
    run: () => {
      throw new UsageError("which command?", "kubestick lab --help lists them");
    },
  },
  ...LAB_COMMANDS,
  {
    words: ["verify"],
    description: "Check the signature and digests of kubestick's own executables",
    flags: VERIFY_FLAGS,
    positionals: 1,
    run: verifyRelease,
  },
];

function commandsHelp(commands: Command[]): string {
  return `Commands:\n\n${commands.map((c) => `  ${c.words.join(" ").padEnd(16)} ${c.description}`).join("\n")}\n`;
}

/** Other ways to ask for what a command does: `kubestick --version`, `kubestick help init phase`. */
function usualWords(words: string[]): string[] {
  if (words[0] === "--version") return ["version", ...words.slice(1)];
  return words[0] === "help" ? [...words.slice(1), "--help"] : words;
}

/** Runs a command line. Returns the exit code; every error is printed, none escapes with a stack trace. */
export async function main(words: string[]): Promise<number> {
  const argv = usualWords(words);
  try {
    // What follows `--` belongs to a program that kubestick runs.
    const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
    const isHelp = (word: string, at: number) => at < end && (word === "--help" || word === "-h");
    const wantsHelp = argv.some(isHelp);
    const rest = argv.filter((word, at) => !isHelp(word, at));
    const command = findCommand(rest);
    if (!command) {
      const first = rest.find((word) => !word.startsWith("-"));
      if (first !== undefined) throw unknownCommand(rest);
      if (!wantsHelp && rest.length > 0)
        throw new UsageError("which command? there are only flags", "kubestick --help lists the commands");
      printHelp(await topUsage());
      return EXIT.done;
    }
    if (wantsHelp) {
      printHelp(`${await renderUsage(cittyCommand(command))}${command.help ? `\n\n${command.help().trimEnd()}` : ""}`);
      return EXIT.done;
    }
    const { given, positionals } = normalizeFlags(rest.slice(command.words.length), command.flags);
    if (positionals.length > (command.positionals ?? 0)) throw unknownCommand(rest);
    const output = given.get("output") ?? "text";
    if (output !== "text" && output !== "json")
      throw new UsageError(`--output is text or json, not ${JSON.stringify(output)}`);
    // The flags are already parsed, strictly; citty runs the command.
    await runCommand(cittyCommand(command, given, positionals), { rawArgs: [] });
    return EXIT.done;
  } catch (thrown) {
    const error = systemError(thrown) ?? thrown;
    if (error instanceof KubestickError) {
      process.stderr.write(`${formatError(error)}\n`);
      return error.exitCode;
    }
    process.stderr.write(
      `error: ${paragraph(reason(error))}\nwhat to do: this is a defect of kubestick; run it again with -v and report what it printed\n`,
    );
    if (argv.some((word) => /^--?v(=|$)/.test(word)))
      process.stderr.write(`${printable(String((error as Error).stack))}\n`);
    return EXIT.failed;
  }
}

/** Help comes in colour, which only a terminal can use. */
function printHelp(text: string): void {
  if (takesColor(process.stdout)) process.stdout.write(`${text}\n`);
  else printText(stripVTControlCharacters(text));
}

/** The command with the most words that the command line begins with. */
function findCommand(argv: string[]): Command | undefined {
  const fits = COMMANDS.filter((c) => c.words.every((word, i) => argv[i] === word));
  return fits.sort((a, b) => b.words.length - a.words.length)[0];
}

function unknownCommand(argv: string[]): UsageError {
  const words = argv.filter((word) => !word.startsWith("-"));
  const typed = words.join(" ");
  const known = COMMANDS.map((c) => c.words.join(" "));
  const near = suggest(typed, known) ?? suggest(words[0] ?? "", known);
  return new UsageError(
    `unknown command "${typed}"`,
    near ? `did you mean "kubestick ${near}"?` : "kubestick --help lists the commands",
  );
}

function cittyCommand(command: Command, given = new Map<string, string>(), positionals: string[] = []): CommandDef {
  return defineCommand({
    meta: { name: `kubestick ${command.words.join(" ")}`, description: command.description },
    args: argsDef(command.flags),
    run: () => command.run(given, positionals),
  }) as CommandDef;
}

async function topUsage(): Promise<string> {
  const top = COMMANDS.filter((c) => c.words.length === 1);
  return renderUsage(
    defineCommand({
      meta: { name: "kubestick", description: "Kubernetes from a USB stick" },
      subCommands: Object.fromEntries(
        top.map((c) => [c.words[0]!, defineCommand({ meta: { name: c.words[0]!, description: c.description } })]),
      ),
    }) as CommandDef,
  );
}
