import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { INIT_ARGS, PHASE_FLAGS } from "../args/init.ts";
import type { Args } from "../command.ts";
import { runInit } from "../init.ts";
import { phaseCommands } from "../phase.ts";

export default phaseCommands({
  verb: "init",
  phases: INIT_PHASES,
  args: ({ flags = [] }) => {
    const own = [...PHASE_FLAGS, ...flags];
    return Object.fromEntries(Object.entries(INIT_ARGS).filter(([name]) => own.includes(name))) as Args;
  },
  ways: [
    ["Runs this phase alone", ""],
    ["By a configuration file", "--config kubeadm.yaml"],
  ],
  examples: [
    ["Makes every certificate and key", "certs all"],
    ["Writes the API server's manifest anew, by a configuration file", "control-plane apiserver --config kubeadm.yaml"],
    ["Writes files for another host below a directory", "kubeconfig admin --rootfs /mnt/board"],
  ],
  run: (words, { given, out }) => runInit(given, words, out),
});
