import { missingBinaries } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import type { Node } from "../edge/node.ts";
import { findProgram } from "../host/facts.ts";
import { progressLine } from "../ui/progress.ts";
import { formatBytes } from "../ui/table.ts";
import { type Check, error } from "./check.ts";

/** What the checks of a bundle look at. */
export type BundleCheckContext = Pick<Node, "facts" | "ui" | "bundle" | "decisions">;

/** Whether a bundle brings a host binary here. */
export const brings = (bundle: Bundle | undefined, arch: string, name: string): boolean =>
  bundle?.binaries.some((b) => b.name === name && b.arch === arch) ?? false;

/**
 * Checks of the offline bundle, before anything on the host changes; they find nothing where there is none. That the
 * bundle is whole is no check to be ignored: `verifyBundle` sees to it.
 */
export const BUNDLE_CHECKS: Check<BundleCheckContext>[] = [
  {
    name: "HostBinaries",
    why: "somebody else's programs are not replaced without being told to",
    run: ({ bundle, facts, decisions }) => {
      if (!bundle) return [];
      const lacking = missingBinaries(bundle, facts.arch).filter((name) => !findProgram(name));
      return [
        ...decisions()
          .filter((d) => d.action === "refuse")
          .flatMap((d) => error(`${d.kind.name}: ${d.why}`, "remove it, or let --force replace it")),
        ...lacking.flatMap((name) =>
          error(`neither this host nor the bundle has ${name}`, "create the bundle with it, or install it"),
        ),
      ];
    },
  },
];

/** Reads the bundle through before anything is installed from it. Throws KubestickError when it is damaged or not for this host. */
export function verifyBundle({ bundle, facts, ui }: Pick<BundleCheckContext, "bundle" | "facts" | "ui">): void {
  if (!bundle) return;
  ui.step("preflight", `Verifying the bundle in ${bundle.path}`);
  const show = progressLine(ui, "preflight");
  bundle.ensureVerified(facts.arch, (bytes) => show(() => `Verifying the bundle: ${formatBytes(bytes)}`));
}
