import { MANIFESTS_DIR } from "../../constants/paths.ts";
import { waitForControlPlane } from "../init/wait-control-plane.ts";
import type { Phase } from "../runner.ts";
import type { Join } from "./context.ts";

/** join's phase `wait-control-plane`: as init's, for this node's own components. */
export const waitControlPlanePhase: Phase<Join> = {
  name: "wait-control-plane",
  short: "Wait for the control plane to start",
  live: true,
  inputs: [MANIFESTS_DIR, "service kubelet"],
  run: async ({ controlPlane }, step) => waitForControlPlane((await controlPlane()).cp, step),
};
