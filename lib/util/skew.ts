import { MINIMUM_CONTROL_PLANE_VERSION, NEWEST_CONTROL_PLANE_VERSION } from "../constants/versions.ts";
import { compareVersions, parseVersion } from "./version.ts";

/**
 * How many minor versions a component may be older or newer than the API server that it talks to
 * (https://kubernetes.io/releases/version-skew-policy/).
 */
export const SKEW = {
  kubelet: { older: 3, newer: 0 },
  kubectl: { older: 1, newer: 1 },
} as const;

/** A component that the policy has a rule for. */
export type SkewedComponent = keyof typeof SKEW;

/** Whether the policy has a rule for a program of this name. */
export const hasSkewRule = (name: string): name is SkewedComponent => Object.hasOwn(SKEW, name);

/**
 * Whether a component's version is too old or too new for an API server's; undefined where they go together, or one of
 * them is no version. Only major and minor count: a pre-release is of the minor version that it leads to.
 */
export function skewOf(component: SkewedComponent, version: string, apiServer: string): "older" | "newer" | undefined {
  const [own, wanted] = [parseVersion(version), parseVersion(apiServer)];
  if (!own || !wanted) return undefined;
  if (own.major !== wanted.major) return own.major < wanted.major ? "older" : "newer";
  if (wanted.minor - own.minor > SKEW[component].older) return "older";
  return own.minor - wanted.minor > SKEW[component].newer ? "newer" : undefined;
}

/** Whether this executable deploys a control plane of a version: from the oldest, to every patch of the newest's minor. */
export function deploysControlPlane(version: string): boolean {
  const [wanted, oldest, newest] = [version, MINIMUM_CONTROL_PLANE_VERSION, NEWEST_CONTROL_PLANE_VERSION].map(
    parseVersion,
  );
  if (!wanted || wanted.major !== newest!.major || wanted.minor > newest!.minor) return false;
  return compareVersions(wanted, oldest!) >= 0;
}
