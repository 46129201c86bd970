import { installBinary } from "../binaries/install.ts";
import { type Decision, planBinaries, refuseForeign } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { sandboxImage } from "../bundle/defaults.ts";
import {
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  CONTAINERD_CONFIG_FILE,
  CONTAINERD_RESTART_MARK,
  MODULES_FILE,
  SYSCTL_FILE,
} from "../constants/paths.ts";
import { KubestickError, UsageError } from "../errors.ts";
import { findProgram, type HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { getSysctl, loadModule, MODULES, nodeSysctls, setSysctl } from "../host/kernel.ts";
import type { Ledger } from "../host/ledger.ts";
import { tryRun } from "../host/process.ts";
import { containerdConfig, mirrorConfig, usesSystemdCgroup } from "../runtime/containerd-config.ts";
import type { Cri } from "../runtime/cri.ts";
import { findCtr, importedImages, importImages, tagImage } from "../runtime/images.ts";
import { containerdService } from "../runtime/service.ts";
import type { ServiceManagerControl } from "../services/service.ts";
import { progressLine } from "../ui/progress.ts";
import { formatBytes } from "../ui/table.ts";
import type { Ui } from "../ui/ui.ts";
import { until } from "../util/until.ts";
import type { Phase } from "./runner.ts";

/** A board starts containerd from a slow card. */
const CONTAINERD_TIMEOUT_MS = 120_000;
const POLL_MS = 200;

/** The node that a bundle is put on: init's and join's contexts both are one. */
export interface BundleHost {
  facts: HostFacts;
  files: Files;
  ledger: Ledger;
  ui: Ui;
  services: ServiceManagerControl;
  cri: Cri;
  bundle: Bundle | undefined;
  criSocket: string;
  /** Which Kubernetes the host binaries must go with. */
  kubernetesVersion: string;
  families: (4 | 6)[];
  options: { dryRun: boolean; force: boolean; registryMirrors: Map<string, string> };
}

/** What is to be done about this host's programs; see planBinaries. */
export function decideBinaries(
  ctx: Pick<BundleHost, "facts" | "files" | "kubernetesVersion" | "options">,
  bundle: Bundle,
): Decision[] {
  const { facts, files, kubernetesVersion, options } = ctx;
  return planBinaries(bundle, { arch: facts.arch, kubernetesVersion, force: options.force, files });
}

async function installBinaries(ctx: BundleHost): Promise<void> {
  const { ui, files, options } = ctx;
  const bundle = ctx.bundle!;
  const decisions = decideBinaries(ctx, bundle);
  refuseForeign(decisions);
  for (const decision of decisions) {
    const { kind, binary, action, why, directory } = decision;
    if (action === "keep") ui.step("bundle", `Keeping ${kind.name}: ${why}`);
    else if (options.dryRun)
      ui.step("bundle", `Would install ${kind.name} ${binary.version} into ${directory} (${why})`);
    else {
      const written = await installBinary(bundle, decision, files);
      if (written.length > 0) ui.step("bundle", `Installed ${kind.name} ${binary.version} into ${directory} (${why})`);
    }
  }
}

function prepareKernel(ctx: BundleHost): void {
  const { ui, ledger, options } = ctx;
  const sysctls = nodeSysctls(ctx.families);
  const lines = Object.entries(sysctls).map(([name, value]) => `${name} = ${value}\n`);
  ledger.write(MODULES_FILE, `# Written by kubestick.\n${MODULES.map((m) => `${m}\n`).join("")}`, { mode: 0o644 });
  ledger.write(SYSCTL_FILE, `# Written by kubestick.\n${lines.join("")}`, { mode: 0o644 });
  ui.step("bundle", `Writing the kernel's settings to ${SYSCTL_FILE} and its modules to ${MODULES_FILE}`);
  if (options.dryRun) return;
  for (const name of MODULES) {
    const why = loadModule(name);
    if (why) ui.warn(`cannot load the kernel module ${name}: ${why}`);
  }
  for (const [name, value] of Object.entries(sysctls)) {
    ledger.noteSysctl(name, getSysctl(name), value);
    const why = setSysctl(name, value);
    if (!why) continue;
    // Without forwarding no pod reaches another; the bridge's settings are only there with br_netfilter.
    if (name.startsWith("net.bridge.")) ui.warn(`cannot set ${name} to ${value}: ${why}`);
    else
      throw new KubestickError(`cannot set ${name} to ${value}: ${why}`, {
        hint: `sysctl -w ${name}=${value} shows more`,
      });
  }
}

/** Writes containerd's configuration where it is kubestick's to write, and has it running with it. */
async function startContainerd(ctx: BundleHost): Promise<void> {
  const { ui, files, ledger, services, options, facts } = ctx;
  const answers = () =>
    ctx.cri.version().then(
      (v) => v,
      () => undefined,
    );
  const foreign = files.exists(CONTAINERD_CONFIG_FILE) && !ledger.owns(CONTAINERD_CONFIG_FILE) && !options.force;
  if (foreign) ui.step("bundle", `Keeping ${CONTAINERD_CONFIG_FILE}: kubestick did not write it`);
  else writeContainerdConfig(ctx);
  for (const [host, mirror] of options.registryMirrors) {
    const name = host === "*" ? "_default" : host;
    ledger.write(`${CONTAINERD_CERTS_DIR}/${name}/hosts.toml`, mirrorConfig(name, mirror), { mode: 0o644 });
  }
  if (options.dryRun) {
    files.remove(CONTAINERD_RESTART_MARK);
    ui.step("bundle", `Would start containerd under ${services.name}`);
    return;
  }
  const running = await answers();
  if (running && !files.exists(CONTAINERD_RESTART_MARK)) {
    ui.step("bundle", `${running.name} ${running.version} runs already`);
    return;
  }
  const program = findProgram("containerd");
  if (!program)
    throw new KubestickError("there is no containerd on this host, and the bundle has none", {
      hint: "install containerd, or create the bundle with it",
    });
  const known = services.isActive("containerd") || !running;
  if (!known)
    throw new KubestickError(
      `containerd must be restarted to read ${CONTAINERD_CONFIG_FILE}, and ${services.name} did not start it`,
      {
        hint: "restart it the way it was started, then run the same command again",
      },
    );
  if (services.install(containerdService(program))) ledger.noteService("containerd");
  ctx.cri.close();
  await services.restart("containerd");
  ui.step("bundle", `Starting containerd under ${services.name}`);
  await until(answers, {
    limitMs: CONTAINERD_TIMEOUT_MS,
    pauseMs: POLL_MS,
    what: `containerd does not answer at ${ctx.criSocket} after ${CONTAINERD_TIMEOUT_MS / 1000} s`,
    hint: `look at its log: ${services.logCommand("containerd")}${facts.root ? "" : "; and run this as root"}`,
  });
  files.remove(CONTAINERD_RESTART_MARK);
}

function writeContainerdConfig(ctx: BundleHost): void {
  const { ui, files, ledger, facts, options } = ctx;
  const bundle = ctx.bundle!;
  const program = options.dryRun ? undefined : findProgram("containerd");
  const told = program ? tryRun(program, ["--version"]).stdout : "";
  const version = / v?(\d+)\.\d+\.\d+/.exec(told)?.[1] ?? /\d+/.exec(bundleVersion(bundle, facts.arch))?.[0] ?? "2";
  const text = containerdConfig({
    major: Number(version),
    sandboxImage: sandboxImage(bundle, facts.arch),
    systemdCgroup: usesSystemdCgroup(facts),
    restrictOomScoreAdj: !facts.capSysResource,
    cniBinDir: CNI_BIN_DIR,
    certsDir: CONTAINERD_CERTS_DIR,
  });
  if (!facts.capSysResource)
    ui.step("bundle", "containerd restrict_oom_score_adj: true (because this host does not give CAP_SYS_RESOURCE)");
  // The mark outlives a crash between writing and restarting.
  if (files.readText(CONTAINERD_CONFIG_FILE) !== text) files.write(CONTAINERD_RESTART_MARK, "");
  if (options.force) ledger.replace(CONTAINERD_CONFIG_FILE, text, { mode: 0o644 });
  else ledger.write(CONTAINERD_CONFIG_FILE, text, { mode: 0o644 });
  ui.step("bundle", `Writing containerd's configuration to ${CONTAINERD_CONFIG_FILE}`);
}

function bundleVersion(bundle: Bundle, arch: string): string {
  return bundle.binaries.find((b) => b.name === "containerd" && b.arch === arch)?.version ?? "";
}

async function loadImages(ctx: BundleHost): Promise<void> {
  const { ui, facts, options } = ctx;
  const bundle = ctx.bundle!;
  const images = bundle.images.filter((image) => image.arch === facts.arch);
  if (options.dryRun) {
    ui.step("bundle", `Would import ${images.length} images`);
    return;
  }
  const ctr = findCtr(ctx.criSocket);
  const show = progressLine(ui, "bundle");
  const count = await importImages(bundle.store, images, ctr, (bytes) =>
    show(() => `Importing images: ${formatBytes(bytes)}`),
  );
  ui.step("bundle", `Imported ${count} images; ${images.length - count} were there already`);
  // A runtime with a configuration of its own asks for its own pause image, and would pull it.
  const [wanted, ours] = [await ctx.cri.sandboxImage(), sandboxImage(bundle, facts.arch)];
  if (wanted && ours && wanted !== ours && !importedImages(ctr).has(wanted)) {
    await tagImage(ctr, ours, wanted);
    ui.step("bundle", `Naming ${ours} ${wanted} too, which is what the container runtime starts pods with`);
  }
}

/** The phase that puts a bundle on this host, before everything that needs it; skipped where there is no bundle. */
export function bundlePhase<C extends BundleHost>(): Phase<C> {
  const withBundle = (run: (ctx: C) => Promise<void> | void) => (ctx: C) => {
    if (ctx.bundle) return run(ctx);
    throw new UsageError(
      "there is no bundle to install from",
      "name one with --bundle, or attach one to this executable: kubestick bundle attach",
    );
  };
  const flags = ["bundle", "force", "registry-mirror", "cri-socket", "kubernetes-version"];
  return {
    name: "bundle",
    short: "Install host binaries, containerd and images from the offline bundle",
    live: true,
    flags,
    skipIf: (ctx) => (ctx.bundle ? undefined : "there is no bundle"),
    // Preflight has done it already, unless it was skipped.
    run: (ctx) => ctx.bundle!.ensureVerified(ctx.facts.arch),
    children: [
      {
        name: "host-binaries",
        short: "Install containerd, runc, CNI plugins, kubelet and kubectl",
        live: true,
        flags,
        run: withBundle(installBinaries),
      },
      { name: "kernel", short: "Load kernel modules and set what nodes need", live: true, flags, run: prepareKernel },
      {
        name: "container-runtime",
        short: "Configure and start containerd",
        live: true,
        flags,
        run: withBundle(startContainerd),
      },
      {
        name: "images",
        short: "Import the bundle's images into containerd",
        live: true,
        flags,
        run: withBundle(loadImages),
      },
    ],
  };
}
