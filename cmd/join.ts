import { JOIN_PHASES } from "../lib/phases/join/join.ts";
import { JOIN_ARGS } from "./args/join.ts";
import { command } from "./command.ts";
import { runJoin } from "./join/run.ts";
import { phasesOf } from "./phase.ts";

export default command({
  name: "join",
  description: "Join this host to a cluster, as a worker or a control plane",
  kubeadm: true,
  args: JOIN_ARGS,
  examples: [
    ["Where the control plane is: prints the command for this host", "kubestick token create --print-join-command"],
    [
      "A worker",
      "kubestick join 192.168.1.10:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:HEX",
    ],
    [
      "Another control plane; init --upload-certs prints the whole command",
      "kubestick join api.lan:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:HEX --control-plane --certificate-key KEY",
    ],
    ["By a kubeconfig of the cluster", "kubestick join --discovery-file cluster.conf --tls-bootstrap-token TOKEN"],
  ],
  phases: phasesOf(JOIN_PHASES),
  topics: ["join-security", "high-availability", "troubleshooting"],
  subCommands: { phase: () => import("./join/phase.ts").then((file) => file.default) },
  run: ({ args, given, out }) => runJoin(given, args.endpoint, [], out),
});
