import { COMMON_ARGS } from "./args/common.ts";
import { group } from "./command.ts";

/** The whole tree; each command is loaded when it is named. */
export default group({
  name: "kubestick",
  description: "Kubernetes from a USB stick",
  args: COMMON_ARGS,
  examples: [
    ["A control plane on this host", "sudo kubestick init"],
    ["Another node: prints the command to run there", "sudo kubestick token create --print-join-command"],
    ["A whole cluster on this machine, to try", "sudo kubestick lab up"],
  ],
  subCommands: {
    init: () => import("./init.ts").then((file) => file.default),
    join: () => import("./join.ts").then((file) => file.default),
    reset: () => import("./reset.ts").then((file) => file.default),
    token: () => import("./token.ts").then((file) => file.default),
    bundle: () => import("./bundle.ts").then((file) => file.default),
    lab: () => import("./lab.ts").then((file) => file.default),
    verify: () => import("./verify.ts").then((file) => file.default),
    version: () => import("./version.ts").then((file) => file.default),
    completion: () => import("./completion.ts").then((file) => file.default),
    help: () => import("./help.ts").then((file) => file.default),
    __complete: () => import("./complete.ts").then((file) => file.default),
  },
});
