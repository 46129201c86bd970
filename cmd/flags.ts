import { homedir } from "node:os";
import { resolve } from "node:path";
import { inspectExecutable } from "../lib/bundle/payload.ts";
import { MAX_CONFIG_BYTES } from "../lib/config/document.ts";
import { criSocketUrl, nodeName } from "../lib/config/node.ts";
import { reason, UsageError } from "../lib/errors.ts";
import { readPlainFile } from "../lib/host/plain-file.ts";
import type { NodeSetup } from "../lib/index.ts";
import { parseMirrors } from "../lib/oci/mirrors.ts";
import { isCompiled } from "../lib/services/executable.ts";
import { yamlText } from "../lib/yaml/read.ts";
import { listValue } from "./args/common.ts";
import type { Args, Given } from "./command.ts";

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
export function rejectMixedFlags(given: Given, args: Args): void {
  const mixed = Object.keys(args)
    .sort()
    .filter((name) => given.has(name) && !args[name]!.besideConfig)
    .map((name) => `--${name}`);
  if (mixed.length === 0) return;
  throw new UsageError(
    `can not mix '--config' with arguments [${mixed.join(" ")}]`,
    "put these settings into the configuration file",
  );
}

/** The node's name and CRI socket where flags give them; a socket's bare path is taken too, as kubeadm does. */
export function nodeFlags(given: Given): { name?: string; criSocket?: string } {
  const [name, socket] = [given.get("node-name"), given.get("cri-socket")];
  return {
    ...(name ? { name: nodeName(name) } : {}),
    ...(socket ? { criSocket: criSocketUrl(socket) } : {}),
  };
}

/** This process's variables, which name proxies and kubeconfigs. */
export const environment = (): NodeJS.ProcessEnv => ({ HOME: homedir(), ...process.env });

/** The file with the offline bundle to install from: --bundle's, or this executable where it carries one. */
export function nodeBundle(given: Given): string | undefined {
  const named = given.get("bundle");
  if (named !== undefined) return named;
  return isCompiled() && inspectExecutable(process.execPath).hasBundle ? process.execPath : undefined;
}

/** What the flags of every command that sets up a node say. Throws UsageError for a mirror that is none. */
export const nodeSetup = (given: Given): NodeSetup => ({
  bundle: nodeBundle(given),
  force: given.get("force") === "true",
  registryMirrors: parseMirrors(listValue(given, "registry-mirror")),
  ignorePreflightErrors: listValue(given, "ignore-preflight-errors"),
  environment: environment(),
});

/** The patches directory where --patches gives one, as a configuration holds it: absolute. */
export function patchesFlag(given: Given): { patches?: { directory: string } } {
  const directory = given.get("patches");
  return directory ? { patches: { directory: resolve(directory) } } : {};
}
