import type { Bundle } from "../bundle/bundle.ts";
import { type Decision, missingBinaries } from "../bundle/install.ts";
import type { HostFacts } from "../host/facts.ts";
import { findProgram } from "../host/facts.ts";
import type { Ui } from "../ui/ui.ts";
import { type Check, error } from "./check.ts";

/** What the checks of a bundle look at. */
export interface BundleCheckContext {
  facts: HostFacts;
  ui: Ui;
  bundle: Bundle | undefined;
  /** What is to be done about the host's programs. */
  decisions: () => Decision[];
}

/** Whether a bundle brings a host binary here. */
export const brings = (bundle: Bundle | undefined, arch: string, name: string): boolean =>
  bundle?.binaries.some((b) => b.name === name && b.arch === arch) ?? false;

/** Checks of the offline bundle, before anything on the host changes; they find nothing where there is none. */
export const BUNDLE_CHECKS: Check<BundleCheckContext>[] = [
  {
    name: "Bundle",
    why: "a damaged or foreign bundle must be found out before anything is installed from it",
    run: ({ bundle, facts, ui }) => {
      if (!bundle) return [];
      bundle.requireArchitecture(facts.arch);
      ui.step("preflight", `Verifying the bundle in ${bundle.path}`);
      bundle.verify(facts.arch);
      return [];
    },
  },
  {
    name: "HostBinaries",
    why: "somebody else's programs are not replaced without being told to",
    run: ({ bundle, facts, decisions }) => {
      if (!bundle) return [];
      const lacking = missingBinaries(bundle, facts.arch).filter(
        (name) => !findProgram(name === "cni-plugins" ? "/opt/cni/bin/bridge" : name) && name !== "cni-plugins",
      );
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
