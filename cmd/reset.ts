import { RESET_PHASES } from "../lib/phases/reset/reset.ts";
import { RESET_ARGS } from "./args/reset.ts";
import { command } from "./command.ts";
import { phasesOf } from "./phase.ts";
import { runReset } from "./reset/run.ts";

export default command({
  name: "reset",
  description: "Take everything off this host that kubestick put on it",
  kubeadm: true,
  args: RESET_ARGS,
  examples: [
    ["Shows what would be removed", "kubestick reset --dry-run"],
    ["Asks, then removes it", "kubestick reset"],
    ["Without a question, for scripts", "kubestick reset --force"],
  ],
  phases: phasesOf(RESET_PHASES),
  topics: ["reset"],
  subCommands: { phase: () => import("./reset/phase.ts").then((file) => file.default) },
  run: ({ given, out }) => runReset(given, [], out),
});
