import { type ParsedConfig, parseConfig, parseFlags } from "../lib/config/load.ts";
import { type InitOptions, init } from "../lib/index.ts";
import { INIT_PHASES } from "../lib/phases/init/init.ts";
import { listValue } from "./args/common.ts";
import { INIT_ARGS } from "./args/init.ts";
import { command, type Given } from "./command.ts";
import { nodeSetup, readConfigFile, rejectMixedFlags } from "./flags.ts";
import { flagConfig, overrides } from "./init-flags.ts";
import type { Output } from "./output.ts";
import { phasesOf } from "./phase.ts";

export default command({
  name: "init",
  description: "Set up the Kubernetes control plane on this host",
  kubeadm: true,
  args: INIT_ARGS,
  examples: [
    ["From the bundle that is attached to this executable", "kubestick init"],
    ["From a bundle in a file, shown without changing anything", "kubestick init --bundle bundle.tar --dry-run"],
    [
      "The first of several control planes; prints both join commands",
      "kubestick init --control-plane-endpoint api.lan:6443 --upload-certs",
    ],
  ],
  phases: phasesOf(INIT_PHASES),
  topics: ["air-gap", "networks", "high-availability", "differences-from-kubeadm"],
  subCommands: { phase: () => import("./init/phase.ts").then((file) => file.default) },
  run: ({ given, out }) => runInit(given, [], out),
});

/** Runs `kubestick init`, or one phase of it when `words` name one. Throws KubestickError. */
export async function runInit(given: Given, words: string[], out: Output): Promise<void> {
  const options: InitOptions = {
    ...nodeSetup(given),
    ui: out.ui,
    phase: words,
    config: parse(given),
    network: given.get("network"),
    rootfs: given.get("rootfs") || undefined,
    dryRun: given.get("dry-run") === "true",
    skipPhases: listValue(given, "skip-phases"),
    uploadCerts: given.get("upload-certs") === "true",
    skipTokenPrint: given.get("skip-token-print") === "true",
    skipCertificateKeyPrint: given.get("skip-certificate-key-print") === "true",
  };
  await out.reportOn(init(options));
}

function parse(given: Given): ParsedConfig {
  const file = given.get("config");
  let parsed: ParsedConfig;
  if (file === undefined) parsed = parseFlags(flagConfig(given));
  else {
    rejectMixedFlags(given, INIT_ARGS);
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
