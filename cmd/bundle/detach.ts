import { detach, saveBundle } from "../../lib/bundle/attach.ts";
import { lockTarget } from "../../lib/host/lock.ts";
import { formatBytes } from "../../lib/ui/table.ts";
import { EXECUTABLE_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { executablePath } from "./open.ts";

export default command({
  name: "detach",
  description: "Take the bundle off an executable, and keep it in a file where one is named",
  args: {
    bundle: {
      type: "positional",
      required: false,
      description: "The file to keep the bundle in.",
      completes: "file",
    },
    ...EXECUTABLE_ARGS,
  },
  examples: [
    ["Off an executable, without keeping it", "kubestick bundle detach --executable ./kubestick"],
    ["Keeps it in a file", "kubestick bundle detach bundle.tar --executable ./kubestick"],
  ],
  run: ({ args, out }) => {
    const executable = executablePath(args.executable);
    const target = args.file ?? executable;
    using _lock = lockTarget(target);
    if (args.bundle !== undefined) {
      using _other = lockTarget(args.bundle);
      out.ui.step("detach", `Wrote ${args.bundle}: ${formatBytes(saveBundle(executable, args.bundle))}`);
    }
    const bytes = detach(executable, target);
    out.ui.step("detach", `Wrote ${target}: ${formatBytes(bytes)}, without a bundle`);
    out.report({ file: target, bytes });
  },
});
