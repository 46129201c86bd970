import type { Decision } from "../binaries/plan.ts";
import type { NodeRegistration } from "../config/kinds/fields.ts";
import { isRemovedKubeletFlag } from "../config/removed-flags.ts";
import { error, type Finding } from "./check.ts";

/** The version of the kubelet that will run: the bundle's where it is installed, else the host's; undefined where there is none. */
export function kubeletVersion(decisions: Decision[], installed: string | undefined): string | undefined {
  const decision = decisions.find(({ kind }) => kind.name === "kubelet");
  return decision?.action === "install" ? decision.binary.version : installed;
}

/** The user's flags (kubeletExtraArgs) that a kubelet of this version does not start with, as an error. */
export function removedKubeletFlags({ kubeletExtraArgs = [] }: Partial<NodeRegistration>, version: string): Finding[] {
  const removed = kubeletExtraArgs.map(({ name }) => name).filter((name) => isRemovedKubeletFlag(version, name));
  if (removed.length === 0) return [];
  return error(
    `kubelet ${version} does not start with the flags ${removed.join(", ")}, which cAdvisor once brought in`,
    "take them out of nodeRegistration.kubeletExtraArgs",
  );
}

/** The name under which both `init` and `join` check those flags, and why. */
export const KUBELET_FLAGS = {
  name: "KubeletFlags",
  why: "a kubelet ends at once for a flag that it does not know",
};
