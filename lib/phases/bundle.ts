import { planBinaries, refuseForeign } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { sandboxImage } from "../bundle/defaults.ts";
import {
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  CONTAINERD_CONFIG_FILE,
  CONTAINERD_RESTART_MARK,
  LOCAL_BIN_DIR,
  MODULES_FILE,
  SYSCTL_FILE,
} from "../constants/paths.ts";
import type { Node } from "../edge/node.ts";
import { KubestickError, UsageError } from "../errors.ts";
import { getSysctl, MODULES, nodeSysctls } from "../host/kernel.ts";
import { containerdConfig, mirrorConfig, usesSystemdCgroup } from "../runtime/containerd-config.ts";
import { containerdService } from "../runtime/service.ts";
import { progressLine } from "../ui/progress.ts";
import { formatBytes } from "../ui/table.ts";
import type { Say } from "../ui/ui.ts";
import type { Phase, Step } from "./runner.ts";

/** A board starts containerd from a slow card. */
const CONTAINERD_TIMEOUT_MS = 120_000;

const FLAGS = ["bundle", "force", "registry-mirror", "cri-socket", "kubernetes-version"];

type BundlePhase = Phase<{ node: Node }>;

/** The bundle, where a phase that needs one is run by itself. Throws UsageError where there is none. */
function bundleOf({ bundle }: Node): Bundle {
  if (bundle) return bundle;
  throw new UsageError(
    "there is no bundle to install from",
    "name one with --bundle, or attach one to this executable: kubestick bundle attach",
  );
}

async function installBinaries(node: Node, step: Step): Promise<void> {
  const { facts, files, kubernetesVersion, options, programs } = node;
  const bundle = bundleOf(node);
  const decisions = planBinaries(bundle, { arch: facts.arch, kubernetesVersion, force: options.force, files });
  refuseForeign(decisions);
  for (const decision of decisions) {
    if (decision.action === "keep") step(`Keeping ${decision.kind.name}: ${decision.why}`);
    else await programs.install(bundle, decision, step);
  }
}

function prepareKernel({ ui, ledger, kernel, families }: Node, step: Step): void {
  const sysctls = nodeSysctls(families);
  const lines = Object.entries(sysctls).map(([name, value]) => `${name} = ${value}\n`);
  ledger.write(MODULES_FILE, `# Written by kubestick.\n${MODULES.map((m) => `${m}\n`).join("")}`, { mode: 0o644 });
  ledger.write(SYSCTL_FILE, `# Written by kubestick.\n${lines.join("")}`, { mode: 0o644 });
  step(`Writing the kernel's settings to ${SYSCTL_FILE} and its modules to ${MODULES_FILE}`);
  for (const name of MODULES) {
    const why = kernel.loadModule(name);
    if (why) ui.warn(`cannot load the kernel module ${name}: ${why}`);
  }
  for (const [name, value] of Object.entries(sysctls)) {
    ledger.noteSysctl(name, getSysctl(name), value);
    const why = kernel.setSysctl(name, value);
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
async function startContainerd(node: Node, step: Step): Promise<void> {
  const { files, ledger, services, options, facts, cri } = node;
  const bundle = bundleOf(node);
  const foreign = files.exists(CONTAINERD_CONFIG_FILE) && !ledger.owns(CONTAINERD_CONFIG_FILE) && !options.force;
  if (foreign) step(`Keeping ${CONTAINERD_CONFIG_FILE}: kubestick did not write it`);
  else writeContainerdConfig(node, bundle, step);
  for (const [host, mirror] of options.registryMirrors) {
    const name = host === "*" ? "_default" : host;
    ledger.write(`${CONTAINERD_CERTS_DIR}/${name}/hosts.toml`, mirrorConfig(name, mirror), { mode: 0o644 });
  }
  const running = await cri.answers();
  if (running && !files.exists(CONTAINERD_RESTART_MARK)) {
    step(`${running.name} ${running.version} runs already`);
    return;
  }
  const program = node.programs.find("containerd");
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
  cri.close();
  await services.start("containerd", "containerd", step);
  if (!(await cri.answersWithin(CONTAINERD_TIMEOUT_MS)))
    throw new KubestickError(
      `containerd does not answer at ${node.criSocket} after ${CONTAINERD_TIMEOUT_MS / 1000} s`,
      {
        hint: `look at its log: ${services.logCommand("containerd")}${facts.root ? "" : "; and run this as root"}`,
      },
    );
  files.remove(CONTAINERD_RESTART_MARK);
}

function writeContainerdConfig({ files, ledger, facts, options, programs }: Node, bundle: Bundle, step: Say): void {
  const told = programs.ask("containerd", ["--version"]);
  const brought = bundle.binaries.find((b) => b.name === "containerd" && b.arch === facts.arch)?.version ?? "";
  const version = / v?(\d+)\.\d+\.\d+/.exec(told)?.[1] ?? /\d+/.exec(brought)?.[0] ?? "2";
  const text = containerdConfig({
    major: Number(version),
    sandboxImage: sandboxImage(bundle, facts.arch),
    systemdCgroup: usesSystemdCgroup(facts),
    restrictOomScoreAdj: !facts.capSysResource,
    cniBinDir: CNI_BIN_DIR,
    certsDir: CONTAINERD_CERTS_DIR,
  });
  if (!facts.capSysResource)
    step("containerd restrict_oom_score_adj: true (because this host does not give CAP_SYS_RESOURCE)");
  // The mark outlives a crash between writing and restarting.
  if (files.readText(CONTAINERD_CONFIG_FILE) !== text) files.write(CONTAINERD_RESTART_MARK, "");
  if (options.force) ledger.replace(CONTAINERD_CONFIG_FILE, text, { mode: 0o644 });
  else ledger.write(CONTAINERD_CONFIG_FILE, text, { mode: 0o644 });
  step(`Writing containerd's configuration to ${CONTAINERD_CONFIG_FILE}`);
}

async function loadImages(node: Node, step: Step): Promise<void> {
  const show = progressLine(node.ui, "bundle");
  await node.cri.importImages(bundleOf(node), node.facts.arch, step, (bytes) =>
    show(() => `Importing images: ${formatBytes(bytes)}`),
  );
}

/** The phase of init and join that puts a bundle on this host, before everything that needs it. */
export const bundlePhase: BundlePhase = {
  name: "bundle",
  short: "Install host binaries, containerd and images from the offline bundle",
  live: true,
  flags: FLAGS,
  inputs: ["the bundle"],
  // Preflight has done it already, unless it was skipped.
  run: ({ node }) => bundleOf(node).ensureVerified(node.facts.arch),
  children: [
    {
      name: "host-binaries",
      short: "Install containerd, runc, CNI plugins, kubelet and kubectl",
      live: true,
      flags: FLAGS,
      inputs: ["the bundle"],
      outputs: [LOCAL_BIN_DIR, CNI_BIN_DIR],
      run: ({ node }, step) => installBinaries(node, step),
    },
    {
      name: "kernel",
      short: "Load kernel modules and set what nodes need",
      live: true,
      flags: FLAGS,
      outputs: [MODULES_FILE, SYSCTL_FILE],
      run: ({ node }, step) => prepareKernel(node, step),
    },
    {
      name: "container-runtime",
      short: "Configure and start containerd",
      live: true,
      flags: FLAGS,
      inputs: ["the bundle", LOCAL_BIN_DIR],
      outputs: [CONTAINERD_CONFIG_FILE, `${CONTAINERD_CERTS_DIR}/HOST/hosts.toml`, "service containerd"],
      run: ({ node }, step) => startContainerd(node, step),
    },
    {
      name: "images",
      short: "Import the bundle's images into containerd",
      live: true,
      flags: FLAGS,
      inputs: ["the bundle", "service containerd"],
      outputs: ["images"],
      run: ({ node }, step) => loadImages(node, step),
    },
  ],
};
