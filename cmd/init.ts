import { type InitOptions, init } from "../lib/commands/init.ts";
import { type ParsedConfig, parseConfig, parseFlags } from "../lib/config/load.ts";
import { bundleOptions, listValue, nodeBundle, readConfigFile, rejectMixedFlags, reporting, uiOf } from "./flags.ts";
import { flagConfig, INIT_FLAGS, overrides } from "./init-flags.ts";

type Given = Map<string, string>;

/** Runs `kubestick init`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runInit(given: Given, words: string[]): Promise<void> {
  const ui = uiOf(given);
  const options: InitOptions = {
    ...bundleOptions(given),
    ui,
    phase: words,
    config: parse(given),
    bundle: nodeBundle(given),
    network: given.get("network"),
    rootfs: given.get("rootfs") || undefined,
    dryRun: given.get("dry-run") === "true",
    skipPhases: listValue(given, "skip-phases"),
    uploadCerts: given.get("upload-certs") === "true",
    skipTokenPrint: given.get("skip-token-print") === "true",
    skipCertificateKeyPrint: given.get("skip-certificate-key-print") === "true",
    ignorePreflightErrors: listValue(given, "ignore-preflight-errors"),
    environment: process.env,
  };
  await reporting(ui, "init", init(options));
}

function parse(given: Given): ParsedConfig {
  const file = given.get("config");
  let parsed: ParsedConfig;
  if (file === undefined) parsed = parseFlags(flagConfig(given));
  else {
    rejectMixedFlags(given, INIT_FLAGS);
    parsed = parseConfig(readConfigFile(file), file);
  }
  const init = overrides(given, parsed.init ?? {});
  if (parsed.problems.length === 0 && JSON.stringify(init) !== JSON.stringify(parsed.init)) {
    parsed.problems.push(...parseFlags({ init, flagOf: OVERRIDE_FLAGS }).problems);
  }
  parsed.init = init;
  return parsed;
}

const OVERRIDE_FLAGS = {
  "nodeRegistration.name": "--node-name",
  "nodeRegistration.criSocket": "--cri-socket",
  certificateKey: "--certificate-key",
  "patches.directory": "--patches",
};
