import { RESET_PHASES } from "../../lib/phases/reset/reset.ts";
import { RESET_ARGS } from "../args/reset.ts";
import { phaseCommands } from "../phase.ts";
import { runReset } from "../reset.ts";

export default phaseCommands({
  verb: "reset",
  phases: RESET_PHASES,
  args: () => RESET_ARGS,
  ways: [
    ["Runs this phase alone", ""],
    ["Shows what it would do", "--dry-run"],
  ],
  examples: [
    ["Takes this node out of etcd and leaves all else", "remove-etcd-member"],
    ["Removes what kubestick put here, and leaves etcd's membership alone", "cleanup-node"],
  ],
  run: (words, { given, out }) => runReset(given, words, out),
});
