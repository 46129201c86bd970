import { attach } from "../../lib/bundle/attach.ts";
import { lockTarget } from "../../lib/host/lock.ts";
import { formatBytes } from "../../lib/ui/table.ts";
import { EXECUTABLE_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { executablePath } from "./open.ts";

export default command({
  name: "attach",
  description: "Make one file of a kubestick executable and a bundle",
  args: {
    bundle: {
      type: "positional",
      required: true,
      ask: "which bundle?",
      description: "The bundle's file.",
      completes: "file",
    },
    ...EXECUTABLE_ARGS,
  },
  examples: [
    ["Onto this executable", "kubestick bundle attach bundle.tar"],
    [
      "One file for a board of another architecture",
      "kubestick bundle attach bundle.tar --executable kubestick-linux-arm64 --file kubestick",
    ],
  ],
  run: ({ args, out }) => {
    const executable = executablePath(args.executable);
    const target = args.file ?? executable;
    using _lock = lockTarget(target);
    const bytes = attach(executable, args.bundle, target);
    out.ui.step("attach", `Wrote ${target}: ${formatBytes(bytes)}; it carries ${args.bundle}`);
    out.report({ file: target, bytes });
  },
});
