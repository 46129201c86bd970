import { extractBundle } from "../../lib/bundle/extract.ts";
import { UsageError } from "../../lib/errors.ts";
import { architectures, READ_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

export default command({
  name: "extract",
  description: "Write a bundle's host binaries and manifests into a directory",
  synopsis: "[FILE] DIRECTORY",
  args: {
    ...READ_ARGS,
    directory: {
      type: "positional",
      required: false,
      description: "Where to write them.",
      completes: "directory",
    },
  },
  examples: [
    ["Out of a bundle in a file", "kubestick bundle extract bundle.tar out"],
    ["Out of this executable, with the bundle itself as out/bundle.tar", "kubestick bundle extract out"],
  ],
  run: ({ args, out }) => {
    // A word alone is the directory.
    const [file, directory] = args.directory === undefined ? [undefined, args.file] : [args.file, args.directory];
    if (directory === undefined) throw new UsageError("where to?", "kubestick bundle extract [FILE] DIRECTORY");
    withBundle(file, (bundle) => {
      const wanted = args.arch === undefined ? bundle.architectures : architectures(args.arch);
      out.report({ file: bundle.path, directory: extractBundle(bundle, directory, wanted, out.ui) });
    });
  },
});
