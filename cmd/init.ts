import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { newToken } from "../lib/bootstrap/token.ts";
import { applyBundleDefaults } from "../lib/bundle/defaults.ts";
import { initConfig } from "../lib/config/init-config.ts";
import { type ParsedConfig, parseConfig, parseFlags } from "../lib/config/load.ts";
import { POD_SUBNET } from "../lib/constants/network.ts";
import { UsageError } from "../lib/errors.ts";
import { type HostFacts, readFacts, requireAdvertiseAddress, requireNodeName } from "../lib/host/facts.ts";
import { Files } from "../lib/host/files.ts";
import { lockHost } from "../lib/host/lock.ts";
import { reportDryRun } from "../lib/phases/dry-run.ts";
import { InitContext, type InitOptions } from "../lib/phases/init/context.ts";
import { INIT_PHASES, joinCommands } from "../lib/phases/init/init.ts";
import { type FlatPhase, findPhase, flatten, type PhaseResult, runPhases, skipList } from "../lib/phases/runner.ts";
import { listValue } from "./args/common.ts";
import { INIT_ARGS } from "./args/init.ts";
import { command, type Given } from "./command.ts";
import { bundleOptions, openNodeBundle, readConfigFile, rejectMixedFlags } from "./flags.ts";
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
  const rootfs = rootOf(given.get("rootfs") || "/");
  const { ui } = out;
  const facts = readFacts(new Files(rootfs));
  const parsed = parse(given);
  const bundle = openNodeBundle(given);
  if (bundle) applyBundleDefaults(parsed, bundle, facts.arch);
  const network = given.get("network") ?? "flat";
  if (network === "flat") applyPodSubnet(parsed);
  const config = initConfig(parsed, hostDefaults(facts));
  for (const text of parsed.warnings) ui.warn(text);
  const dryRun = given.get("dry-run") === "true" || (config.dryRun ?? false);
  const only = words.length > 0 ? findPhase(INIT_PHASES, words) : undefined;
  const phases: FlatPhase<InitContext>[] = only
    ? [only]
    : INIT_PHASES.map((phase) => ({ path: phase.name, phase, depth: 0 }));
  const skip = skipList(INIT_PHASES, [...(config.skipPhases ?? []), ...listValue(given, "skip-phases")]);
  refuseLiveOnOtherRoot(phases, rootfs, dryRun, skip);
  const files = new Files(rootfs, { overlay: dryRun && rootfs === "/" });
  using _lock = lockHost(files);
  const options: InitOptions = {
    ...bundleOptions(given),
    network,
    dryRun,
    rootfs,
    uploadCerts: given.get("upload-certs") === "true",
    skipTokenPrint: given.get("skip-token-print") === "true",
    skipCertificateKeyPrint: given.get("skip-certificate-key-print") === "true",
    ignorePreflightErrors: new Set([
      ...(config.nodeRegistration.ignorePreflightErrors ?? []),
      ...listValue(given, "ignore-preflight-errors"),
    ]),
  };
  const ctx = new InitContext(config, facts, files, ui, options, bundle);
  const results: PhaseResult[] = [];
  let failed = true;
  ui.detail(`using Kubernetes version ${config.cluster.kubernetesVersion}`);
  try {
    await runPhases(phases, ctx, { skip, ui, results });
    if (dryRun) reportDryRun(ctx, [...ctx.dryRunCluster.objects.values()]);
    failed = false;
  } finally {
    await ctx.close();
    bundle?.close();
    out.report(report(ctx, results, !failed && only === undefined));
  }
}

/** A root as it really is: what is only another name of `/` must not pass for another host's files. */
function rootOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is made when the first file is written.
    return resolve(path);
  }
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

/** The flat network gives every node a part of the pods' addresses, so there must be some. */
function applyPodSubnet(parsed: ParsedConfig): void {
  const { networking } = parsed.cluster ?? {};
  if (networking?.podSubnet || networking?.serviceSubnet?.includes(":")) return;
  parsed.cluster = {
    ...parsed.cluster,
    networking: { ...networking, podSubnet: POD_SUBNET },
  };
}

function hostDefaults(facts: HostFacts) {
  return {
    hostname: () => requireNodeName(facts),
    newToken,
    advertiseAddress: (family?: 4 | 6) => requireAdvertiseAddress(facts, family),
  };
}

function refuseLiveOnOtherRoot(
  phases: FlatPhase<InitContext>[],
  rootfs: string,
  dryRun: boolean,
  skip: Set<string>,
): void {
  if (rootfs === "/" || dryRun) return;
  const live = phases
    .flatMap((p) => flatten([p.phase], p.path.slice(0, -p.phase.name.length)))
    .find((p) => p.phase.live && !skip.has(p.path));
  if (!live) return;
  throw new UsageError(
    `the phase "${live.path}" works on the running host, not below --rootfs ${rootfs}`,
    "add --dry-run, or run only phases that write files: certs, kubeconfig, etcd, control-plane",
  );
}

function report(ctx: InitContext, phases: PhaseResult[], ready: boolean) {
  return {
    kubernetesVersion: ctx.config.cluster.kubernetesVersion,
    node: ctx.config.nodeRegistration.name,
    server: ctx.clusterServer,
    dryRun: ctx.options.dryRun,
    phases,
    ...(ready && ctx.pki.certificate("ca") ? { join: joinCommands(ctx) } : {}),
    ...(ctx.options.dryRun
      ? {
          files: ctx.files.written.map(({ path, mode }) => ({ path, mode: mode.toString(8).padStart(4, "0") })),
          objects: [...ctx.dryRunCluster.objects.keys()],
        }
      : {}),
  };
}
