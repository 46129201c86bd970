import { binaryVersions, requireVersion } from "../../lib/bundle/choose-lock.ts";
import { pinBundle } from "../../lib/bundle/pin.ts";
import { KUBERNETES_VERSION } from "../../lib/constants/versions.ts";
import { architectures, REMOTE_ARGS, remoteOptions } from "../args/bundle.ts";
import { list } from "../args/common.ts";
import { command } from "../command.ts";

export default command({
  name: "lock",
  description: "Pin every image and host binary of a Kubernetes version in a lock file",
  args: {
    ...REMOTE_ARGS,
    lock: {
      type: "string",
      description: "The lock file to write or complete (default kubernetes-vX.Y.lock.yaml).",
      valueHint: "file",
      completes: "file",
    },
    binary: {
      type: "string",
      description: "Another version of a host binary, as name=version.",
      valueHint: "list",
      list: true,
    },
    fresh: {
      type: "boolean",
      description: "Look everything up by its tag, and take nothing from what this kubestick pins itself.",
    },
  },
  examples: [
    [
      "Another patch release, for both architectures",
      "kubestick bundle lock --kubernetes-version v1.36.5 --arch amd64,arm64 --lock kubernetes-v1.36.lock.yaml",
    ],
    ["With another containerd", "kubestick bundle lock --binary containerd=v2.4.1 --lock own.lock.yaml"],
  ],
  run: async ({ args, out }) => {
    const version = args["kubernetes-version"];
    const { file, lock } = await pinBundle(
      {
        kubernetesVersion: version === undefined ? KUBERNETES_VERSION : requireVersion(version),
        file: args.lock,
        architectures: architectures(args.arch),
        images: list(args.image),
        binaries: binaryVersions(list(args.binary)),
        fresh: args.fresh === true,
        remote: remoteOptions(args),
      },
      out.ui,
    );
    out.ui.print(`Next: kubestick bundle create bundle.tar --lock ${file}`);
    out.report({ file, ...lock });
  },
});
