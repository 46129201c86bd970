import { resolve } from "node:path";
import type { ArgDef, ArgsDef } from "citty";
import { inspectExecutable } from "../lib/bundle/payload.ts";
import { reportOf } from "../lib/commands/run.ts";
import { MAX_CONFIG_BYTES } from "../lib/config/document.ts";
import { criSocketUrl, nodeName } from "../lib/config/node.ts";
import { KubestickError, reason, UsageError } from "../lib/errors.ts";
import { readPlainFile } from "../lib/host/plain-file.ts";
import { parseMirrors } from "../lib/oci/mirrors.ts";
import { isCompiled } from "../lib/services/executable.ts";
import { consoleUi, printJson, type Ui } from "../lib/ui/ui.ts";
import { suggest } from "../lib/util/suggest.ts";
import { yamlText } from "../lib/yaml/read.ts";

/** A flag of a command. */
export interface Flag {
  name: string;
  description: string;
  type?: "string" | "boolean";
  alias?: string;
  valueHint?: string;
  default?: string;
  /** Takes a comma-separated list, and can be given several times. */
  list?: boolean;
  /** Can stand beside --config, as with kubeadm; the others belong into the file then. */
  besideConfig?: boolean;
}

/** The flags that every command takes. */
export const GLOBAL_FLAGS: Flag[] = [
  {
    name: "output",
    description: "Output format: text or json.",
    valueHint: "text|json",
    default: "text",
    alias: "o",
    besideConfig: true,
  },
  { name: "v", description: "Number for the log level verbosity.", valueHint: "level", besideConfig: true },
];

/** The flags of every command that sets up a node; names and meanings are kubeadm's. */
export const NODE_FLAGS: Flag[] = [
  { name: "config", description: "Path to a kubeadm configuration file.", valueHint: "file", besideConfig: true },
  {
    name: "bundle",
    description: "The offline bundle to install from (default: the one attached to this executable, if any).",
    valueHint: "file",
    besideConfig: true,
  },
  {
    name: "force",
    description: "Let the bundle replace host binaries and settings that are newer or not kubestick's own.",
    type: "boolean",
    besideConfig: true,
  },
  {
    name: "registry-mirror",
    description:
      "Where containerd gets a registry's images instead, as HOST=URL; a URL alone stands for every registry.",
    valueHint: "mirrors",
    list: true,
    besideConfig: true,
  },
  {
    name: "cri-socket",
    description: "Path to the CRI socket to connect (default unix:///run/containerd/containerd.sock).",
    valueHint: "socket",
    besideConfig: true,
  },
  {
    name: "ignore-preflight-errors",
    description: "A list of checks whose errors will be shown as warnings, or 'all'.",
    valueHint: "checks",
    list: true,
    besideConfig: true,
  },
  { name: "node-name", description: "The node name (default: the host name).", valueHint: "name", besideConfig: true },
  {
    name: "patches",
    description: 'A directory with files named "target[suffix][+patchtype].extension".',
    valueHint: "directory",
    besideConfig: true,
  },
  {
    name: "skip-phases",
    description: "List of phases to be skipped.",
    valueHint: "phases",
    list: true,
    besideConfig: true,
  },
];

/** Flags in the order of their names, as help shows them. */
export function byName(flags: Flag[]): Flag[] {
  return [...flags].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** citty's argument definitions of these flags. */
export function argsDef(flags: Flag[]): ArgsDef {
  return Object.fromEntries(
    flags.map(({ name, description, type, alias, valueHint, default: value }): [string, ArgDef] => [
      name,
      type === "boolean"
        ? { type: "boolean", description, alias }
        : { type: "string", description, alias, valueHint, default: value },
    ]),
  );
}

/**
 * Checks a command line against a command's flags and brings it into one form: `--name value` becomes `--name=value`,
 * repeated lists are joined, a bare `-v` counts as `-v=1`, what follows `--` is no flag. Throws UsageError, with a suggestion, for what is not known.
 */
export function normalizeFlags(raw: string[], flags: Flag[]): { given: Map<string, string>; positionals: string[] } {
  const given = new Map<string, string>();
  const positionals: string[] = [];
  for (let i = 0; i < raw.length; i++) {
    const word = raw[i]!;
    if (word === "--") {
      positionals.push(...raw.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const [left = "", ...rest] = word.replace(/^--?/, "").split("=");
    const flag = flags.find((f) => f.name === left || f.alias === left);
    if (!flag) {
      const near = suggest(
        left,
        flags.map((f) => f.name),
      );
      throw new UsageError(
        `unknown flag: ${word.split("=")[0]}`,
        near ? `did you mean --${near}?` : "--help lists the flags",
      );
    }
    let value = rest.length > 0 ? rest.join("=") : undefined;
    if (flag.type === "boolean") {
      value ??= "true";
      if (value !== "true" && value !== "false")
        throw new UsageError(`--${flag.name} is true or false, not ${JSON.stringify(value)}`);
    } else if (flag.name === "v") {
      if (value === undefined && /^\d+$/.test(raw[i + 1] ?? "")) value = raw[++i];
      value ??= "1";
    } else if (value === undefined) {
      value = raw[++i];
      if (value === undefined)
        throw new UsageError(`--${flag.name} needs a value`, `write --${flag.name}=${flag.valueHint ?? "VALUE"}`);
    }
    const before = given.get(flag.name);
    if (before !== undefined && !flag.list && before !== value)
      throw new UsageError(`--${flag.name} is given twice`, "keep one of the two");
    given.set(flag.name, flag.list && before !== undefined ? `${before},${value}` : value!);
  }
  return { given, positionals };
}

/** A list flag's values; empty ones are left out. */
export function listValue(given: Map<string, string>, name: string): string[] {
  return (given.get(name) ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** The level of -v. Throws UsageError when it is no number. */
function verbosity(given: Map<string, string>): number {
  const text = given.get("v") ?? "0";
  if (!/^\d{1,2}$/.test(text)) throw new UsageError(`-v takes a number, not ${JSON.stringify(text)}`);
  return Number(text);
}

/** The console as --output and -v ask for it. Throws UsageError when -v is no number. */
export const uiOf = (given: Map<string, string>): Ui =>
  consoleUi({ json: given.get("output") === "json", verbosity: verbosity(given) });

/** The text of the file that --config names. Throws UsageError when it cannot be read. */
export function readConfigFile(file: string): string {
  try {
    return yamlText(readPlainFile(file, MAX_CONFIG_BYTES));
  } catch (error) {
    throw new UsageError(
      `cannot read the configuration ${file}: ${reason(error)}`,
      "give the path of a kubeadm configuration file to --config",
    );
  }
}

/** Flags that may not stand beside --config. Throws UsageError naming them, as kubeadm does. */
export function rejectMixedFlags(given: Map<string, string>, flags: Flag[]): void {
  const mixed = flags.filter((f) => given.has(f.name) && !f.besideConfig).map((f) => `--${f.name}`);
  if (mixed.length === 0) return;
  throw new UsageError(
    `can not mix '--config' with arguments [${mixed.join(" ")}]`,
    "put these settings into the configuration file",
  );
}

/** The node's name and CRI socket where flags give them; a socket's bare path is taken too, as kubeadm does. */
export function nodeFlags(given: Map<string, string>): { name?: string; criSocket?: string } {
  const [name, socket] = [given.get("node-name"), given.get("cri-socket")];
  return {
    ...(name ? { name: nodeName(name) } : {}),
    ...(socket ? { criSocket: criSocketUrl(socket) } : {}),
  };
}

/** The file with the offline bundle to install from: --bundle's, or this executable where it carries one. */
export function nodeBundle(given: Map<string, string>): string | undefined {
  const named = given.get("bundle");
  if (named !== undefined) return named;
  return isCompiled() && inspectExecutable(process.execPath).hasBundle ? process.execPath : undefined;
}

/** Waits for a command's report and prints it where --output asks for it, also when the command fails. */
export async function reporting(ui: Ui, command: string, running: Promise<object>): Promise<void> {
  try {
    const report = await running;
    if (ui.json) printJson({ command, ...report });
  } catch (error) {
    const report = reportOf(error);
    const why = {
      error: reason(error),
      ...(error instanceof KubestickError && error.hint ? { hint: error.hint } : {}),
    };
    if (ui.json && report) printJson({ command, ...report, ...why });
    throw error;
  }
}

/** What --force and --registry-mirror say. Throws UsageError for a mirror that is none. */
export function bundleOptions(given: Map<string, string>): { force: boolean; registryMirrors: Map<string, string> } {
  return {
    force: given.get("force") === "true",
    registryMirrors: parseMirrors(listValue(given, "registry-mirror")),
  };
}

/** The patches directory where --patches gives one, as a configuration holds it: absolute. */
export function patchesFlag(given: Map<string, string>): { patches?: { directory: string } } {
  const directory = given.get("patches");
  return directory ? { patches: { directory: resolve(directory) } } : {};
}
