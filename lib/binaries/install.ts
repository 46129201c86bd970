import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Bundle } from "../bundle/bundle.ts";
import { HOST_BINARY_KINDS, type HostBinaryKind } from "../constants/host-binaries.ts";
import { CNI_BIN_DIR, FALLBACK_BIN_DIR, LOCAL_BIN_DIR } from "../constants/paths.ts";
import { MINIMUM_CONTAINERD_VERSION } from "../constants/versions.ts";
import { KubestickError } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { Ledger } from "../host/ledger.ts";
import { type Output, tryRun, tryRunAside } from "../host/process.ts";
import type { LayoutBinary } from "../oci/layout.ts";
import { hasSkewRule, skewOf } from "../util/skew.ts";
import { compareVersions, parseVersion, releaseText } from "../util/version.ts";
import { unpackBinary } from "./unpack.ts";

/** What is to be done about one host binary, and why. */
export interface Decision {
  kind: HostBinaryKind;
  binary: LayoutBinary;
  action: "install" | "keep" | "refuse";
  why: string;
  /** Where its programs are to go. */
  directory: string;
  /** Programs that are left alone because somebody else's are there. */
  leave: Set<string>;
}

/** What a host has of a kind: looked up by `lookAt`. */
export interface Found {
  path: string;
  version: string | undefined;
}

/** Finds a kind's first program on this host and asks it for its version. */
export function lookAt(kind: HostBinaryKind): Found | undefined {
  if (!kind.version) return undefined;
  const path = findProgram(kind.version.program);
  if (!path) return undefined;
  return { path, version: versionIn(tryRun(path, kind.version.args)) };
}

/** As lookAt, while other things go on: on a slow board a kubelet takes a second to tell its version. */
export async function lookAtAside(kind: HostBinaryKind): Promise<Found | undefined> {
  const path = kind.version && findProgram(kind.version.program);
  return path ? { path, version: versionIn(await tryRunAside(path, kind.version!.args)) } : undefined;
}

const versionIn = ({ stdout, stderr }: Output) => /v?\d+\.\d+\.\d+[-.\w]*/.exec(stdout + stderr)?.[0];

/**
 * Whether somebody else's program will do with this Kubernetes version; else why not. kubelet and kubectl go by the
 * version skew policy; containerd must be one that speaks CRI v1.
 */
export function unsuitable(name: string, version: string | undefined, kubernetesVersion: string): string | undefined {
  const found = parseVersion(version?.replace(/^(v?\d+\.\d+\.\d+).*/, "$1") ?? "");
  if (!found) return "it tells no version";
  const text = releaseText(found);
  if (name === "containerd")
    return compareVersions(found, parseVersion(MINIMUM_CONTAINERD_VERSION)!) < 0
      ? `it is ${text}, and ${MINIMUM_CONTAINERD_VERSION} is needed`
      : undefined;
  return hasSkewRule(name) && skewOf(name, text, kubernetesVersion)
    ? `it is ${text}, and Kubernetes is ${kubernetesVersion}`
    : undefined;
}

/**
 * Decides for each host binary of a bundle: install what is missing and what kubestick itself installed from another
 * bundle; keep what is there and will do; refuse where somebody else's will not do, unless `force`.
 */
export function planBinaries(
  bundle: Pick<Bundle, "binaries">,
  options: { arch: string; kubernetesVersion: string; force: boolean; files: Files; look?: typeof lookAt },
): Decision[] {
  const installed = new Ledger(options.files).binaries;
  const look = options.look ?? lookAt;
  return HOST_BINARY_KINDS.flatMap((kind) => {
    const binary = bundle.binaries.find((b) => b.name === kind.name && b.arch === options.arch);
    if (!binary) return [];
    const decide = (
      action: Decision["action"],
      why: string,
      directory = defaultDirectory(kind),
      leave: string[] = [],
    ) => [{ kind, binary, action, why, directory, leave: new Set(leave) }];
    const programs = kind.members === "all" ? [] : (kind.members ?? []).map((member) => basename(member));
    const own = installed[kind.name];
    const ownDirectory = own?.files[0] === undefined ? undefined : dirname(own.files[0]);
    const ours = own?.files.every((path) => fs.existsSync(options.files.real(path))) ? own : undefined;
    if (ours?.digest === binary.blob.digest) return decide("keep", `${binary.version} is installed already`);
    const found = look(kind);
    if (ours && (!found || ours.files.includes(found.path))) {
      const [before, now] = [parseVersion(ours.version), parseVersion(binary.version)];
      if (before && now && compareVersions(before, now) > 0 && !options.force)
        return decide("keep", `${ours.version} is installed, which is newer than the bundle's ${binary.version}`);
      return decide("install", `replaces kubestick's own ${ours.version}`, ownDirectory);
    }
    if (kind.directory === "cni") {
      const there = options.files.list(CNI_BIN_DIR);
      return decide(
        "install",
        there.length > 0 ? "the plugins that are not there" : "not on this host",
        CNI_BIN_DIR,
        options.force ? [] : there,
      );
    }
    if (!found) return decide("install", "not on this host");
    const wrong = unsuitable(kind.name, found.version, options.kubernetesVersion);
    if (options.force) return decide("install", `--force replaces ${found.path}`, dirname(found.path));
    if (wrong) return decide("refuse", `${found.path} is not kubestick's: ${wrong}`);
    const [missing, there] = [true, false].map((lacks) =>
      programs.filter((name) => (findProgram(name) === undefined) === lacks),
    );
    if (missing!.length > 0)
      return decide("install", `only ${missing!.join(", ")}: the rest is there`, undefined, there);
    return decide("keep", `${found.path} ${found.version} is there`);
  });
}

/** Stops where somebody else's programs will not do and were not to be replaced. Throws KubestickError with all of them. */
export function refuseForeign(decisions: Decision[]): void {
  const refused = decisions.filter((d) => d.action === "refuse");
  if (refused.length === 0) return;
  throw new KubestickError(refused.map((d) => `${d.kind.name}: ${d.why}`).join("; "), {
    hint: "remove those programs, or let --force replace them",
  });
}

/**
 * Installs one host binary as decided, and notes it. A program of somebody else that it replaces is kept, and `reset` puts
 * it back. Gives the paths written. Throws KubestickError.
 */
export async function installBinary(bundle: Bundle, decision: Decision, files: Files): Promise<string[]> {
  const { kind, binary, directory, leave } = decision;
  const onHost = (path: string) => (files.root === "/" ? path : path.slice(files.root.length));
  const ledger = new Ledger(files);
  const own = ledger.binaries[kind.name]?.files ?? [];
  const note = (paths: string[], digest: string) =>
    ledger.noteBinary(kind.name, { version: binary.version, digest, files: paths.map(onHost) });
  const written = await unpackBinary(
    bundle.store,
    binary,
    kind,
    (program) => (leave.has(program) ? undefined : files.real(join(directory, program))),
    // Of a run that is killed now, the next one knows them as kubestick's, and installs them again.
    (paths) => {
      for (const path of paths.map(onHost)) if (!own.includes(path)) ledger.keep(path);
      note(paths, "");
    },
  );
  if (written.length > 0) note(written, binary.blob.digest);
  return written.map(onHost);
}

/** Where a kind's programs go on a host: not below /usr where that cannot be written (read-only systems). */
function defaultDirectory(kind: HostBinaryKind): string {
  if (kind.directory === "cni") return CNI_BIN_DIR;
  for (let at = LOCAL_BIN_DIR; ; at = dirname(at)) {
    try {
      fs.accessSync(at, fs.constants.W_OK);
      return LOCAL_BIN_DIR;
    } catch {
      if (at === "/" || fs.existsSync(at)) return FALLBACK_BIN_DIR;
    }
  }
}

/** The names of the host binaries that a control plane or worker cannot do without and a bundle lacks for an architecture. */
export function missingBinaries(bundle: Pick<Bundle, "binaries">, arch: string): string[] {
  return ["containerd", "runc", "kubelet"].filter(
    (name) => !bundle.binaries.some((b) => b.name === name && b.arch === arch),
  );
}
