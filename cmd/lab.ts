import { COMMON_ARGS } from "./args/common.ts";
import { group } from "./command.ts";

export default group({
  name: "lab",
  description: "A whole cluster on this machine, to try, to teach and to test",
  args: COMMON_ARGS,
  examples: [
    ["Three nodes, from the bundle that this executable carries", "kubestick lab up"],
    ["A look into one", "kubestick lab shell lab-1"],
    ["Nothing of it stays", "kubestick lab down"],
  ],
  subCommands: {
    up: () => import("./lab/up.ts").then((file) => file.default),
    status: () => import("./lab/status.ts").then((file) => file.default),
    shell: () => import("./lab/shell.ts").then((file) => file.default),
    down: () => import("./lab/down.ts").then((file) => file.default),
  },
});
