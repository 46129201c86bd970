import { basename, dirname } from "node:path";
import { HOST_BINARY_KINDS, type HostBinaryKind } from "../constants/host-binaries.ts";
import { CNI_BIN_DIR, FALLBACK_BIN_DIR, LOCAL_BIN_DIR } from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import { isWritable, placeOf } from "../host/file-system.ts";
import type { Files } from "../host/files.ts";
import { Ledger } from "../host/ledger.ts";
import type { Installed } from "../host/ledger-entries.ts";
import { compareVersions, parseVersion } from "../util/version.ts";
import type { HostBinary, HostBinarySource } from "./host-binary.ts";
import { findOnHost, unsuitable } from "./on-host.ts";

/** What is to be done about one host binary, and why. */
export interface Decision {
  kind: HostBinaryKind;
  binary: HostBinary;
  action: "install" | "keep" | "refuse";
  why: string;
  /** Where its programs are to go. */
  directory: string;
  /** Programs that are left alone because somebody else's are there. */
  leave: Set<string>;
}

/** For which host, and what counts. */
export interface PlanOptions {
  arch: string;
  /** Which Kubernetes the programs must go with. */
  kubernetesVersion: string;
  /** Replaces what is newer or somebody else's. */
  force: boolean;
  files: Files;
  /** How a kind is looked for on the host; findOnHost without it. */
  find?: typeof findOnHost;
}

/**
 * Decides for each host binary of a bundle: install what is missing and what kubestick itself installed from another
 * bundle; keep what is there and will do; refuse where somebody else's will not do, unless `force`.
 */
export function planBinaries(source: Pick<HostBinarySource, "binaries">, options: PlanOptions): Decision[] {
  const installed = new Ledger(options.files).binaries;
  return HOST_BINARY_KINDS.flatMap((kind) => {
    const binary = source.binaries.find((b) => b.name === kind.name && b.arch === options.arch);
    if (!binary) return [];
    const {
      action,
      why,
      directory = defaultDirectory(kind),
      leave = [],
    } = decide(kind, binary, installed[kind.name], options);
    return [{ kind, binary, action, why, directory, leave: new Set(leave) }];
  });
}

type Choice = Pick<Decision, "action" | "why"> & { directory?: string; leave?: string[] };

function decide(
  kind: HostBinaryKind,
  binary: HostBinary,
  recorded: Installed | undefined,
  options: PlanOptions,
): Choice {
  const { files, force, kubernetesVersion, find = findOnHost } = options;
  const ours = recorded?.files.every((path) => files.exists(path)) ? recorded : undefined;
  if (ours?.digest === binary.blob.digest) return { action: "keep", why: `${binary.version} is installed already` };
  const found = find(kind);
  if (ours && (!found || ours.files.includes(found.path))) {
    const [before, now] = [parseVersion(ours.version), parseVersion(binary.version)];
    if (before && now && compareVersions(before, now) > 0 && !force)
      return {
        action: "keep",
        why: `${ours.version} is installed, which is newer than the bundle's ${binary.version}`,
      };
    const directory = ours.files[0] === undefined ? undefined : dirname(ours.files[0]);
    return { action: "install", why: `replaces kubestick's own ${ours.version}`, directory };
  }
  if (kind.directory === "cni") {
    const there = files.list(CNI_BIN_DIR);
    const why = there.length > 0 ? "the plugins that are not there" : "not on this host";
    return { action: "install", why, leave: force ? [] : there };
  }
  if (!found) return { action: "install", why: "not on this host" };
  if (force) return { action: "install", why: `--force replaces ${found.path}`, directory: dirname(found.path) };
  const wrong = unsuitable(kind.name, found.version, kubernetesVersion);
  if (wrong) return { action: "refuse", why: `${found.path} is not kubestick's: ${wrong}` };
  const programs = kind.members === "all" ? [] : (kind.members ?? []).map((member) => basename(member));
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return { action: "keep", why: `${found.path} ${found.version} is there` };
  const leave = programs.filter((name) => !missing.includes(name));
  return { action: "install", why: `only ${missing.join(", ")}: the rest is there`, leave };
}

/** Where a kind's programs go on a host: not below /usr where that cannot be written (read-only systems). */
function defaultDirectory(kind: HostBinaryKind): string {
  if (kind.directory === "cni") return CNI_BIN_DIR;
  return isWritable(placeOf(LOCAL_BIN_DIR)) ? LOCAL_BIN_DIR : FALLBACK_BIN_DIR;
}

/** Stops where somebody else's programs will not do and were not to be replaced. Throws KubestickError with all of them. */
export function refuseForeign(decisions: Decision[]): void {
  const refused = decisions.filter((d) => d.action === "refuse");
  if (refused.length === 0) return;
  throw new KubestickError(refused.map((d) => `${d.kind.name}: ${d.why}`).join("; "), {
    hint: "remove those programs, or let --force replace them",
  });
}

/** The names of the host binaries that a control plane or worker cannot do without and a bundle lacks for an architecture. */
export function missingBinaries(source: Pick<HostBinarySource, "binaries">, arch: string): string[] {
  return ["containerd", "runc", "kubelet"].filter(
    (name) => !source.binaries.some((b) => b.name === name && b.arch === arch),
  );
}
