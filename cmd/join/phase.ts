import { JOIN_PHASES } from "../../lib/phases/join/join.ts";
import { JOIN_ARGS } from "../args/join.ts";
import { runJoin } from "../join.ts";
import { phaseCommands } from "../phase.ts";

export default phaseCommands({
  verb: "join",
  phases: JOIN_PHASES,
  args: () => JOIN_ARGS,
  ways: [
    ["By a configuration file", "--config join.yaml"],
    [
      "By the words of the join command",
      "192.168.1.10:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:HEX",
    ],
  ],
  examples: [
    ["Checks whether this host can join", "preflight --config join.yaml"],
    ["Prepares this host as a control plane", "control-plane-prepare all --config join.yaml"],
  ],
  run: (words, { args, given, out }) => runJoin(given, args.endpoint, words, out),
});
