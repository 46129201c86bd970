import { verifyBundle } from "../../preflight/bundle.ts";
import { runChecks, warnOfUnknown } from "../../preflight/check.ts";
import { INIT_CHECKS } from "../../preflight/init.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

/** init's phase `preflight`: every check, before anything is changed (kubeadm preflight/checks.go). */
export const preflightPhase: Phase<Init> = {
  name: "preflight",
  short: "Run pre-flight checks",
  live: true,
  flags: ["cri-socket", "image-repository"],
  inputs: ["the host", "the bundle"],
  run: async ({ node, cp, asked }, step) => {
    step("Running pre-flight checks");
    verifyBundle(node);
    // Files for another root will run on another host; what this one lacks says nothing about it.
    const elsewhere = node.files.root !== "/";
    const ignored = elsewhere ? new Set(["all"]) : asked.ignorePreflightErrors;
    warnOfUnknown(INIT_CHECKS, ignored, node.ui);
    await runChecks(INIT_CHECKS, { ...node, config: cp.config, network: asked.network }, node.ui, ignored);
  },
};
