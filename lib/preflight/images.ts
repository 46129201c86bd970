import type { InitConfig } from "../config/init-config.ts";
import type { ClusterConfiguration } from "../config/kinds/cluster.ts";
import type { Node } from "../edge/node.ts";
import { pauseImage, requiredImages } from "../manifests/images.ts";
import { type Check, error, type Finding, warning } from "./check.ts";

/** An image of a control plane, and what its lack means. */
export interface NeededImage {
  image: string;
  lacks: (message: string, fix?: string) => Finding[];
}

/** The images of a control plane. Nothing of it waits for the pause image of this version: the runtime has its own choice of one. */
export const neededImages = (cluster: ClusterConfiguration): NeededImage[] => [
  ...requiredImages(cluster).map((image) => ({ image, lacks: error })),
  { image: pauseImage(cluster), lacks: warning },
];

/** Whether every image is in the bundle, or here where none may be pulled; see pullImages for those that may. */
export const IMAGE_CHECK: Check<Pick<Node, "cri" | "bundle" | "facts"> & { config: InitConfig }> = {
  name: "ImagePull",
  why: "an image that is missing later stops the control plane half-way",
  run: async ({ config, cri, bundle, facts }) => {
    const wanted = neededImages(config.cluster);
    if (bundle) {
      const brought = new Set(bundle.images.filter((i) => i.arch === facts.arch).map((i) => i.name));
      return wanted
        .filter(({ image }) => !brought.has(image))
        .flatMap(({ image, lacks }) =>
          lacks(
            `the bundle has no ${image}`,
            "create the bundle with it (--image), or ask for what it has: kubestick bundle list",
          ),
        );
    }
    if (config.nodeRegistration.imagePullPolicy !== "Never") return [];
    const findings: Finding[] = [];
    for (const { image, lacks } of wanted) {
      if (await cri.hasImage(image)) continue;
      findings.push(
        ...lacks(
          `the image ${image} is not here, and imagePullPolicy is Never`,
          `import it: ctr -n k8s.io images import FILE`,
        ),
      );
    }
    return findings;
  },
};
