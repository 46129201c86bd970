import { Files } from "../../lib/host/files.ts";
import { lockHost } from "../../lib/host/lock.ts";
import { loadBundle } from "../../lib/phases/load.ts";
import { OWN_ARCH, READ_ARGS } from "../args/bundle.ts";
import { COMMON_ARGS } from "../args/common.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

export default command({
  name: "load",
  description: "Install a bundle's host binaries here and import its images into containerd",
  args: {
    file: READ_ARGS.file,
    force: { type: "boolean", description: "Replace host binaries and files that are newer or not kubestick's own." },
    "cri-socket": {
      type: "string",
      description: "Path to containerd's socket (default unix:///run/containerd/containerd.sock).",
      valueHint: "socket",
      completes: "file",
    },
    "images-only": { type: "boolean", description: "Leave the host binaries alone." },
    ...COMMON_ARGS,
  },
  examples: [
    ["All of it", "kubestick bundle load bundle.tar"],
    ["More images for a cluster that runs", "kubestick bundle load class.tar --images-only"],
  ],
  run: ({ args, out }) =>
    withBundle(args.file, async (bundle) => {
      const imagesOnly = args["images-only"] === true;
      bundle.requireArchitecture(OWN_ARCH);
      // The import verifies on its way, and containerd takes all or nothing; programs are in use as soon as they are there.
      if (!imagesOnly) {
        out.ui.step("load", `Verifying ${bundle.path}`);
        bundle.ensureVerified(OWN_ARCH);
      }
      const files = new Files("/");
      using _lock = lockHost(files);
      const options = { arch: OWN_ARCH, imagesOnly, force: args.force === true, criSocket: args["cri-socket"] };
      out.report({ file: bundle.path, ...(await loadBundle(bundle, options, files, out.ui)) });
    }),
});
