import v134 from "../../bundles/kubernetes-v1.34.lock.yaml" with { type: "text" };
import v135 from "../../bundles/kubernetes-v1.35.lock.yaml" with { type: "text" };
import v136 from "../../bundles/kubernetes-v1.36.lock.yaml" with { type: "text" };
import v137 from "../../bundles/kubernetes-v1.37.lock.yaml" with { type: "text" };
import { COMPANIONS } from "../constants/upstream.ts";
import { UsageError } from "../errors.ts";
import { parseVersion } from "../util/version.ts";
import { type BundleLock, parseLock } from "./lock.ts";

/** The locks that are part of this executable, as text by their file's name; newest version first. */
export const EMBEDDED_LOCKS: Record<string, string> = {
  "kubernetes-v1.37.lock.yaml": v137,
  "kubernetes-v1.36.lock.yaml": v136,
  "kubernetes-v1.35.lock.yaml": v135,
  "kubernetes-v1.34.lock.yaml": v134,
};

/** The lock of a version's minor version. */
function ofMinor(version: string): BundleLock | undefined {
  const file = `kubernetes-${/^v\d+\.\d+/.exec(version)?.[0]}.lock.yaml`;
  return Object.hasOwn(EMBEDDED_LOCKS, file) ? parseLock(EMBEDDED_LOCKS[file]!, file) : undefined;
}

/** This executable's own lock of exactly a Kubernetes version; undefined where it has none. */
export function embeddedLock(version: string): BundleLock | undefined {
  const lock = ofMinor(version);
  return lock?.kubernetesVersion === version ? lock : undefined;
}

/**
 * This executable's own lock for a version (`v1.36.2`), or for a minor version (`v1.36`). Throws UsageError, with the
 * versions that it has, where it has none.
 */
export function requireEmbeddedLock(wanted: string): BundleLock {
  const found = /^v\d+\.\d+$/.test(wanted) ? ofMinor(wanted) : embeddedLock(wanted);
  if (found) return found;
  const versions = Object.entries(EMBEDDED_LOCKS).map(([file, text]) => parseLock(text, file).kubernetesVersion);
  const exact = parseVersion(wanted);
  throw new UsageError(
    `this kubestick pins no Kubernetes ${wanted}, only ${versions.join(", ")}`,
    exact && Object.hasOwn(COMPANIONS, `${exact.major}.${exact.minor}`)
      ? `choose one of those, or pin it where there is a network: kubestick bundle lock --kubernetes-version ${wanted}, then --lock with its file`
      : "choose one of those",
  );
}
