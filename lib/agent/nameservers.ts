import { refreshResolvConf } from "../kubelet/resolv-conf.ts";
import type { AgentContext } from "./context.ts";
import type { Controller } from "./controller.ts";

/** Keeps the pods' resolv.conf in line with this host's, where they are not one. */
export const nameservers = ({ files, log }: AgentContext): Controller => ({
  name: "nameservers",
  reconcile() {
    if (refreshResolvConf(files)) log("pods that start from now on get this host's new nameservers");
  },
});
