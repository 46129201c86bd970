import { INIT_PHASES } from "../lib/phases/init/init.ts";
import { INIT_ARGS } from "./args/init.ts";
import { command } from "./command.ts";
import { runInit } from "./init/run.ts";
import { phasesOf } from "./phase.ts";

export default command({
  name: "init",
  description: "Set up the Kubernetes control plane on this host",
  kubeadm: true,
  args: INIT_ARGS,
  examples: [
    ["From the bundle that is attached to this executable", "kubestick init"],
    ["From a bundle in a file, shown without changing anything", "kubestick init --bundle bundle.tar --dry-run"],
    [
      "The first of several control planes; prints both join commands",
      "kubestick init --control-plane-endpoint api.lan:6443 --upload-certs",
    ],
  ],
  phases: phasesOf(INIT_PHASES),
  topics: ["air-gap", "networks", "high-availability", "differences-from-kubeadm"],
  subCommands: { phase: () => import("./init/phase.ts").then((file) => file.default) },
  run: ({ given, out }) => runInit(given, [], out),
});
