import type { HostBinaryKind } from "../constants/host-binaries.ts";
import { MINIMUM_CONTAINERD_VERSION } from "../constants/versions.ts";
import { findProgram } from "../host/facts.ts";
import { type Output, tryRun, tryRunAside } from "../host/process.ts";
import { hasSkewRule, skewOf } from "../util/skew.ts";
import { compareVersions, parseVersion, releaseText } from "../util/version.ts";

/** What a host has of a kind of host binary: its first program, and the version that it tells. */
export interface OnHost {
  path: string;
  version: string | undefined;
}

/** Finds a kind's first program on this host and asks it for its version; undefined where it is not there. */
export function findOnHost(kind: HostBinaryKind): OnHost | undefined {
  const path = kind.version && findProgram(kind.version.program);
  return path ? { path, version: versionIn(tryRun(path, kind.version!.args)) } : undefined;
}

/** As findOnHost, while other things go on: on a slow board a kubelet takes a second to tell its version. */
export async function findOnHostAside(kind: HostBinaryKind): Promise<OnHost | undefined> {
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
