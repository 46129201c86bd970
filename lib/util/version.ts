/** A parsed Kubernetes or component version. */
export interface Version {
  major: number;
  minor: number;
  patch: number;
  /** Pre-release part (`rc.1`), empty for a release. */
  pre: string;
}

const VERSION = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Parses a version such as v1.36.2 (semver, with an optional v); undefined when the text is none. */
export function parseVersion(text: string): Version | undefined {
  const m = VERSION.exec(text);
  return m ? { major: Number(m[1]), minor: Number(m[2]), patch: Number(m[3]), pre: m[4] ?? "" } : undefined;
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b` (semver §11: rc.2 is before rc.10). */
export function compareVersions(a: Version, b: Version): number {
  return Bun.semver.order(format(a), format(b));
}

/** A version without what stands behind its three numbers: v1.36.2. */
export const releaseText = ({ major, minor, patch }: Version): string => `v${major}.${minor}.${patch}`;

const format = ({ major, minor, patch, pre }: Version) => `${major}.${minor}.${patch}${pre === "" ? "" : `-${pre}`}`;

/**
 * Whether a version or an image's tag is this release or a later one; a pre-release counts as the release that it leads
 * to, and a text that is no version as new.
 */
export function isSince(text: string, release: string): boolean {
  const version = parseVersion(text);
  return version === undefined || compareVersions({ ...version, pre: "" }, parseVersion(release)!) >= 0;
}
