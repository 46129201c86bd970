import { progressLine } from "../../lib/ui/progress.ts";
import { formatBytes } from "../../lib/ui/table.ts";
import { READ_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

export default command({
  name: "verify",
  description: "Read a bundle through and check every digest",
  args: READ_ARGS,
  examples: [
    ["The bundle on a stick", "kubestick bundle verify /media/stick/bundle.tar"],
    ["The one that this executable carries", "kubestick bundle verify"],
  ],
  run: ({ args, out }) =>
    withBundle(args.file, (bundle) => {
      const show = progressLine(out.ui, "verify");
      const { blobs, bytes } = bundle.verify(undefined, (done) => show(() => `${formatBytes(done)} read`));
      out.report({ file: bundle.path, blobs, bytes, ok: true });
      out.ui.print(`${bundle.path}: ${blobs} blobs, ${formatBytes(bytes)}, all digests match`);
    }),
});
