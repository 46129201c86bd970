import { hostBinaryKind } from "../constants/host-binaries.ts";
import { KUBERNETES_VERSION } from "../constants/versions.ts";
import { KubestickError, UsageError } from "../errors.ts";
import { isThere } from "../host/file-system.ts";
import { parseVersion } from "../util/version.ts";
import { embeddedLock, requireEmbeddedLock } from "./embedded.ts";
import { type BundleLock, parseLock } from "./lock.ts";
import { readText } from "./remote.ts";

/** A version that was asked for, with its `v`. Throws UsageError where it is none. */
export function requireVersion(text: string): string {
  if (!parseVersion(text))
    throw new UsageError(
      `--kubernetes-version is a version such as ${KUBERNETES_VERSION}, not ${JSON.stringify(text)}`,
    );
  return text.startsWith("v") ? text : `v${text}`;
}

/** The minor version of a version: `v1.36` of `v1.36.2`. */
export const minorOf = (version: string): string | undefined => /^v\d+\.\d+/.exec(version)?.[0];

/** The lock in a file, or this executable's own for the version asked for (a minor version will do). Throws KubestickError. */
export function chooseLock(file: string | undefined, version: string | undefined): BundleLock {
  const minor = /^v?(\d+\.\d+)$/.exec(version ?? "")?.[1];
  const wanted = minor ? `v${minor}` : version === undefined ? undefined : requireVersion(version);
  if (file === undefined) return requireEmbeddedLock(wanted ?? KUBERNETES_VERSION);
  const lock = readLock(file);
  if (wanted === undefined || lock.kubernetesVersion === wanted || minorOf(lock.kubernetesVersion) === wanted)
    return lock;
  throw new UsageError(
    `${file} pins Kubernetes ${lock.kubernetesVersion}, not ${wanted}`,
    "leave --kubernetes-version out, or name the lock of that version",
  );
}

/** What this executable itself pins of exactly a version, without the host binaries of which another version is wanted. */
export function ownPins(version: string, others: Record<string, string>): BundleLock | undefined {
  const own = embeddedLock(version);
  return own && { ...own, binaries: own.binaries.filter(({ name }) => others[name] === undefined) };
}

/** The lock in a file. Throws KubestickError. */
export function readLock(file: string): BundleLock {
  if (!isThere(file))
    throw new KubestickError(`there is no lock file ${file}`, {
      hint: "write one where there is a network: kubestick bundle lock --kubernetes-version VERSION; or name one with --lock",
      code: "not-found",
    });
  return parseLock(readText(file), file);
}

/** Versions of host binaries out of `name=version`, each with its `v`. Throws UsageError. */
export function binaryVersions(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = "", version = ""] = pair.split("=");
      if (!hostBinaryKind(name) || !parseVersion(version))
        throw new UsageError(`--binary takes name=version, such as containerd=v2.4.1, not ${JSON.stringify(pair)}`);
      return [name, version.startsWith("v") ? version : `v${version}`];
    }),
  );
}
