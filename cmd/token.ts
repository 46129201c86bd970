import { COMMON_ARGS } from "./args/common.ts";
import { group } from "./command.ts";

export default group({
  name: "token",
  description: "Manage bootstrap tokens",
  kubeadm: true,
  args: COMMON_ARGS,
  examples: [
    ["The whole command for the next node", "kubestick token create --print-join-command"],
    ["Which tokens there are, and until when", "kubestick token list"],
  ],
  topics: ["join-security"],
  subCommands: {
    create: () => import("./token/create.ts").then((file) => file.default),
    delete: () => import("./token/delete.ts").then((file) => file.default),
    generate: () => import("./token/generate.ts").then((file) => file.default),
    list: () => import("./token/list.ts").then((file) => file.default),
  },
});
