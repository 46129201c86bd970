import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { Bundle } from "../bundle/bundle.ts";
import { applyBundleDefaults } from "../bundle/defaults.ts";
import { newToken } from "../cluster/tokens.ts";
import { initConfig } from "../config/init-config.ts";
import type { HostDefaults } from "../config/kind.ts";
import { type ParsedConfig, parseConfig, parseFlags } from "../config/load.ts";
import { FLAT, POD_SUBNET } from "../constants/network.ts";
import { reportDryRun } from "../edge/report.ts";
import { UsageError } from "../errors.ts";
import { type HostFacts, readFacts, requireAdvertiseAddress, requireNodeName } from "../host/facts.ts";
import { Files } from "../host/files.ts";
import { lockHost } from "../host/lock.ts";
import type { Environment } from "../net/proxy.ts";
import { closeInit, type Init, openInit } from "../phases/init/context.ts";
import { INIT_PHASES } from "../phases/init/init.ts";
import { joinCommands } from "../phases/init/show-join-command.ts";
import { flatten, type PhaseResult } from "../phases/runner.ts";
import { QUIET } from "../ui/quiet.ts";
import { type Chosen, choosePhases, type RunOptions, runReported } from "./run.ts";

/** What can be told to every command that sets up a node. */
export interface NodeSetup {
  /** A file with the bundle to install from: a bundle, or an executable that carries one. Without it the host has all it needs. */
  bundle?: string;
  /** Let the bundle replace programs and files that are newer or somebody else's. */
  force?: boolean;
  /** Where containerd has a registry's images instead, by host; `*` for every one. */
  registryMirrors?: Map<string, string>;
  /** Checks whose errors are only warnings, or `all`. */
  ignorePreflightErrors?: string[];
  /** The variables that may name a proxy (HTTPS_PROXY, NO_PROXY); none without it. */
  environment?: Environment;
}

/** What `init` is told. */
export interface InitOptions extends RunOptions, NodeSetup {
  /** The text of a configuration file of kubeadm's, or what has been read of one or of flags; kubeadm's defaults without it. */
  config?: string | ParsedConfig;
  /** The pods' network: `flat` (the default), `none`, or a file of a provider's manifests. */
  network?: string;
  /** Write below this directory instead of `/`. */
  rootfs?: string;
  uploadCerts?: boolean;
  /** Keep the token, or the certificate key, out of what is said and reported. */
  skipTokenPrint?: boolean;
  skipCertificateKeyPrint?: boolean;
}

/** How `init` went. */
export interface InitReport {
  kubernetesVersion: string;
  /** The node's name. */
  node: string;
  /** `https://HOST:PORT` of the cluster's API server. */
  server: string;
  dryRun: boolean;
  phases: PhaseResult[];
  /** The commands that join a worker, and a control plane where the certificates were uploaded; after a whole run. */
  join?: { command: string; controlPlane?: string };
  /** What a dry run would have written, modes in octal, and the API objects that it would have applied. */
  files?: { path: string; mode: string }[];
  objects?: string[];
}

/**
 * Sets up the first control plane of a cluster on this host, or runs one phase of that. Throws KubestickError (see
 * `reportOf` for how far it came), UsageError for options or a configuration that cannot be used.
 */
export async function init(options: InitOptions): Promise<InitReport> {
  const { ui = QUIET, network = FLAT, environment = {} } = options;
  const rootfs = rootOf(options.rootfs ?? "/");
  const facts = readFacts(new Files(rootfs));
  const { config: given } = options;
  const parsed = typeof given === "string" ? parseConfig(given, "config") : (given ?? parseFlags({ flagOf: {} }));
  using bundle = options.bundle === undefined ? undefined : closing(Bundle.open(options.bundle));
  if (bundle) applyBundleDefaults(parsed, bundle.value, facts.arch);
  if (network === FLAT) applyPodSubnet(parsed);
  const config = initConfig(parsed, hostDefaults(facts));
  for (const text of parsed.warnings) ui.warn(text);
  const dryRun = options.dryRun || (config.dryRun ?? false);
  const skipped = [...(config.skipPhases ?? []), ...(options.skipPhases ?? [])];
  const chosen = choosePhases(INIT_PHASES, options.phase, skipped);
  if (rootfs !== "/" && !dryRun) refuseLive(chosen, rootfs);
  const files = new Files(rootfs, { overlay: dryRun && rootfs === "/" });
  using _lock = lockHost(files);
  const ctx = openInit(
    config,
    {
      facts,
      files,
      ui,
      environment,
      dryRun,
      bundle: bundle?.value,
      force: options.force,
      registryMirrors: options.registryMirrors,
    },
    {
      network,
      uploadCerts: options.uploadCerts ?? false,
      skipTokenPrint: options.skipTokenPrint ?? false,
      skipCertificateKeyPrint: options.skipCertificateKeyPrint ?? false,
      ignorePreflightErrors: new Set([
        ...(config.nodeRegistration.ignorePreflightErrors ?? []),
        ...(options.ignorePreflightErrors ?? []),
      ]),
    },
  );
  ui.detail(`using Kubernetes version ${config.cluster.kubernetesVersion}`);
  // Awaited here: the lock is held until then.
  return await runReported(chosen, ctx, ui, {
    after: async () => {
      if (ctx.notes) reportDryRun(ctx.node, [...ctx.notes.objects.values()]);
    },
    end: () => closeInit(ctx),
    report: (phases, done) => reportOn(ctx, phases, done && chosen.whole),
  });
}

function reportOn(ctx: Init, phases: PhaseResult[], ready: boolean): InitReport {
  const { node, cp, notes } = ctx;
  return {
    kubernetesVersion: cp.config.cluster.kubernetesVersion,
    node: node.name,
    server: cp.servers.cluster,
    dryRun: notes !== undefined,
    phases,
    ...(ready && cp.pki.certificate("ca") ? { join: joinCommands(ctx) } : {}),
    ...(notes
      ? {
          files: node.files.written.map(({ path, mode }) => ({ path, mode: mode.toString(8).padStart(4, "0") })),
          objects: [...notes.objects.keys()],
        }
      : {}),
  };
}

/** A bundle that is closed at the end of its block. */
export const closing = (value: Bundle): Disposable & { value: Bundle } => ({
  value,
  [Symbol.dispose]: () => value.close(),
});

/** A root as it really is: what is only another name of `/` must not pass for another host's files. */
function rootOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is made when the first file is written.
    return resolve(path);
  }
}

/** The flat network gives every node a part of the pods' addresses, so there must be some. */
function applyPodSubnet(parsed: ParsedConfig): void {
  const { networking } = parsed.cluster ?? {};
  if (networking?.podSubnet || networking?.serviceSubnet?.includes(":")) return;
  parsed.cluster = {
    ...parsed.cluster,
    networking: { ...networking, podSubnet: POD_SUBNET },
  };
}

const hostDefaults = (facts: HostFacts): HostDefaults => ({
  hostname: () => requireNodeName(facts),
  newToken,
  advertiseAddress: (family) => requireAdvertiseAddress(facts, family),
});

/** Only files can be made for another host. Throws UsageError for a phase that works on the running one. */
function refuseLive({ phases, skip }: Chosen<Init>, rootfs: string): void {
  const live = phases
    .flatMap((p) => flatten([p.phase], p.path.slice(0, -p.phase.name.length)))
    .find((p) => p.phase.live && !skip.has(p.path));
  if (!live) return;
  throw new UsageError(
    `the phase "${live.path}" works on the running host, not below --rootfs ${rootfs}`,
    "add --dry-run, or run only phases that write files: certs, kubeconfig, etcd, control-plane",
  );
}
