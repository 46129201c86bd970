import { verifyBundle } from "../../preflight/bundle.ts";
import { runChecks, warnOfUnknown } from "../../preflight/check.ts";
import { INIT_CHECKS } from "../../preflight/init.ts";
import { NO_BUNDLE, pullImages } from "../images.ts";
import { type Phase, when } from "../runner.ts";
import type { Init } from "./context.ts";

const FLAGS = ["cri-socket", "image-repository"];

/** init's phase `preflight`: every check, before anything is changed, then the images (kubeadm preflight/checks.go). */
export const preflightPhase: Phase<Init> = {
  name: "preflight",
  short: "Run pre-flight checks",
  live: true,
  flags: FLAGS,
  inputs: ["the host", "the bundle"],
  run: async ({ node, cp, asked }, step) => {
    step("Running pre-flight checks");
    verifyBundle(node);
    const ignored = ignoredChecks({ node, asked });
    warnOfUnknown(INIT_CHECKS, ignored, node.ui);
    await runChecks(INIT_CHECKS, { ...node, config: cp.config, network: asked.network }, node.ui, ignored);
  },
  children: [
    when(NO_BUNDLE, {
      name: "images",
      short: "Pull the control plane's images that are not there",
      live: true,
      flags: FLAGS,
      inputs: ["service containerd"],
      outputs: ["images"],
      run: ({ node, cp, asked }, step) => pullImages(cp, ignoredChecks({ node, asked }), step),
    }),
  ],
};

/** Files for another root will run on another host; what this one lacks says nothing about it. */
const ignoredChecks = ({ node, asked }: Pick<Init, "node" | "asked">): Set<string> =>
  node.files.root === "/" ? asked.ignorePreflightErrors : new Set(["all"]);
