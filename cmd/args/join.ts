import { args } from "../command.ts";
import { COMMON_ARGS } from "./common.ts";
import { NODE_ARGS } from "./node.ts";

/** The words and flags of `join`; names, meanings and defaults are kubeadm's. */
export const JOIN_ARGS = args({
  endpoint: {
    type: "positional",
    required: false,
    valueHint: "HOST:PORT",
    description: "The API server of the cluster.",
  },
  ...NODE_ARGS,
  "apiserver-advertise-address": {
    type: "string",
    description: "If the node should host a new control plane instance, the address its API Server will advertise.",
    valueHint: "address",
  },
  "apiserver-bind-port": {
    type: "string",
    description: "If the node should host a new control plane instance, the port for the API Server to bind to.",
    valueHint: "port",
  },
  "certificate-key": {
    type: "string",
    description: "Use this key to decrypt the certificate secrets uploaded by init.",
    valueHint: "key",
  },
  "control-plane": { type: "boolean", description: "Create a new control plane instance on this node." },
  "dry-run": {
    type: "boolean",
    description: "Don't apply any changes; just output what would be done. The cluster is looked for and read.",
    besideConfig: true,
  },
  "discovery-file": {
    completes: "file",
    type: "string",
    description: "For file-based discovery, a file or https URL from which to load cluster information.",
    valueHint: "file|url",
  },
  "discovery-token": {
    type: "string",
    description:
      "For token-based discovery, the token used to validate cluster information fetched from the API server.",
    valueHint: "token",
  },
  "discovery-token-ca-cert-hash": {
    type: "string",
    description:
      'For token-based discovery, validate that the root CA public key matches this hash (format: "sha256:<hex>").',
    valueHint: "hashes",
    list: true,
  },
  "discovery-token-unsafe-skip-ca-verification": {
    type: "boolean",
    description: "For token-based discovery, allow joining without --discovery-token-ca-cert-hash pinning.",
  },
  "sync-time": {
    own: true,
    type: "boolean",
    description:
      "Set this host's clock to the control plane's when certificates are not valid at its own time. A clock before the cluster's CA is always set.",
    besideConfig: true,
  },
  "tls-bootstrap-token": {
    type: "string",
    description: "The token used to temporarily authenticate with the control plane while joining the node.",
    valueHint: "token",
  },
  token: {
    type: "string",
    description: "Use this token for both discovery-token and tls-bootstrap-token when those values are not provided.",
    valueHint: "token",
  },

  ...COMMON_ARGS,
});
