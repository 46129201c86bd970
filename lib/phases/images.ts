import type { Node } from "../edge/node.ts";
import { reason } from "../errors.ts";
import { type Finding, runChecks } from "../preflight/check.ts";
import { IMAGE_CHECK, neededImages } from "../preflight/images.ts";
import { inParallel } from "../util/pool.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Condition, Step } from "./runner.ts";

/** With nodeRegistration.imagePullSerial: false. */
const PULLS_AT_ONCE = 4;

/** Images come from a registry, and not out of a bundle. */
export const NO_BUNDLE: Condition<{ node: Node }> = {
  holds: ({ node }) => node.bundle === undefined,
  otherwise: "the bundle has them",
};

/**
 * Pulls the control plane's images that are not there (kubeadm does so in its preflight), as nodeRegistration says. Those
 * that cannot be had are told together. Throws KubestickError as a preflight check; `ignored` names those that only warn.
 */
export async function pullImages({ node, config }: ControlPlane, ignored: Set<string>, step: Step): Promise<void> {
  const { imagePullPolicy: policy, imagePullSerial: serial = true } = config.nodeRegistration;
  if (policy === "Never") return;
  const pull = async (): Promise<Finding[]> => {
    const findings: Finding[] = [];
    await inParallel(neededImages(config.cluster), serial ? 1 : PULLS_AT_ONCE, async ({ image, lacks }) => {
      if (policy !== "Always" && (await node.cri.hasImage(image))) return;
      try {
        await node.cri.pull(image, step);
      } catch (error) {
        findings.push(...lacks(reason(error), "without a network, import it: ctr -n k8s.io images import FILE"));
      }
    });
    return findings;
  };
  await runChecks([{ ...IMAGE_CHECK, run: pull }], undefined, node.ui, ignored);
}
