import { formatBytes, formatTable } from "../../lib/ui/table.ts";
import { READ_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

export default command({
  name: "inspect",
  description: "Say what a bundle is",
  args: READ_ARGS,
  examples: [
    ["The bundle in a file", "kubestick bundle inspect bundle.tar"],
    ["The one that this executable carries", "kubestick bundle inspect"],
  ],
  run: ({ args, out }) =>
    withBundle(args.file, (bundle) => {
      const bytes = bundle.blobs.reduce((sum, blob) => sum + blob.size, 0);
      const summary = {
        file: bundle.path,
        attachedTo: bundle.executableBytes > 0 ? "an executable" : undefined,
        kubernetesVersion: bundle.kubernetesVersion,
        architectures: bundle.architectures,
        images: bundle.images.length,
        binaries: bundle.binaries.length,
        manifests: bundle.userYaml.length,
        blobs: bundle.blobs.length,
        bytes,
      };
      out.report(summary);
      out.print(
        formatTable([
          ["File", `${bundle.path}${summary.attachedTo ? " (attached to an executable)" : ""}`],
          ["Kubernetes", bundle.kubernetesVersion ?? "not said"],
          ["Architectures", bundle.architectures.join(", ")],
          ["Contents", `${summary.images} images, ${summary.binaries} host binaries, ${summary.manifests} manifests`],
          ["Size", `${formatBytes(bytes)} in ${summary.blobs} blobs`],
        ]),
      );
    }),
});
