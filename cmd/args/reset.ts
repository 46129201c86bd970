import { CERTIFICATES_DIR } from "../../lib/constants/paths.ts";
import { args } from "../command.ts";
import { COMMON_ARGS } from "./common.ts";
import { NODE_ARGS } from "./node.ts";

/** The flags of `reset`; names, meanings and defaults are kubeadm's. */
export const RESET_ARGS = args({
  "cri-socket": NODE_ARGS["cri-socket"],
  "skip-phases": NODE_ARGS["skip-phases"],
  "cert-dir": {
    completes: "directory",
    type: "string",
    description: `The path to the directory where the certificates are stored (default ${CERTIFICATES_DIR}).`,
    valueHint: "directory",
  },
  "dry-run": { type: "boolean", description: "Don't apply any changes; just output what would be done." },
  force: {
    type: "boolean",
    alias: "f",
    description: "Reset the node without prompting for confirmation, and remove files that were changed since, too.",
  },

  ...COMMON_ARGS,
});
