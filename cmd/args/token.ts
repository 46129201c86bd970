import { ADMIN_KUBECONFIG } from "../../lib/constants/paths.ts";
import { args } from "../command.ts";
import { COMMON_ARGS } from "./common.ts";

/** The flags of every `token` command that talks to the cluster. */
export const TOKEN_ARGS = args({
  kubeconfig: {
    type: "string",
    description: `The kubeconfig file to use when talking to the cluster (default ${ADMIN_KUBECONFIG}).`,
    valueHint: "file",
    completes: "file",
  },
  ...COMMON_ARGS,
});
