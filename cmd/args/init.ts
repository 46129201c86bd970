import { DNS_DOMAIN, SERVICE_SUBNET } from "../../lib/constants/names.ts";
import { CERTIFICATES_DIR } from "../../lib/constants/paths.ts";
import { API_SERVER_PORT } from "../../lib/constants/ports.ts";
import { DEFAULT_IMAGE_REPOSITORY, KUBERNETES_VERSION } from "../../lib/constants/versions.ts";
import { args } from "../command.ts";
import { COMMON_ARGS } from "./common.ts";
import { NODE_ARGS } from "./node.ts";

/** The flags of `init`; names, meanings and defaults are kubeadm's. */
export const INIT_ARGS = args({
  ...NODE_ARGS,
  "apiserver-advertise-address": {
    type: "string",
    description:
      "The IP address the API Server will advertise it's listening on. If not set the address of the default route's interface is used.",
    valueHint: "address",
  },
  "apiserver-bind-port": {
    type: "string",
    description: `Port for the API Server to bind to (default ${API_SERVER_PORT}).`,
    valueHint: "port",
  },
  "apiserver-cert-extra-sans": {
    type: "string",
    description: "Extra Subject Alternative Names (IP addresses and DNS names) for the API Server's certificate.",
    valueHint: "names",
    list: true,
  },
  "cert-dir": {
    completes: "directory",
    type: "string",
    description: `The path where to save and store the certificates (default ${CERTIFICATES_DIR}).`,
    valueHint: "directory",
  },
  "certificate-key": {
    type: "string",
    description:
      "Key used to encrypt the control-plane certificates in the kubeadm-certs Secret: 64 hexadecimal digits.",
    valueHint: "key",
    besideConfig: true,
  },
  "control-plane-endpoint": {
    type: "string",
    description: "A stable IP address or DNS name for the control plane.",
    valueHint: "host[:port]",
  },
  "dry-run": {
    type: "boolean",
    description: "Don't apply any changes; just output what would be done.",
    besideConfig: true,
  },
  "feature-gates": {
    type: "string",
    description: "A set of key=value pairs that describe feature gates.",
    valueHint: "gates",
    list: true,
  },
  "image-repository": {
    type: "string",
    description: `A container registry to pull control plane images from (default ${DEFAULT_IMAGE_REPOSITORY}).`,
    valueHint: "registry",
  },
  "kubernetes-version": {
    type: "string",
    description: `A specific Kubernetes version for the control plane (default ${KUBERNETES_VERSION}, this executable's own).`,
    valueHint: "version",
  },
  network: {
    completes: ["flat", "none"],
    own: true,
    type: "string",
    description:
      "The pods' network: flat (routes between the nodes of one segment), none, or a file of a provider's manifests.",
    valueHint: "flat|none|file",
    default: "flat",
    besideConfig: true,
  },
  "pod-network-cidr": {
    type: "string",
    description:
      "The range of IP addresses for the pod network; with it the control plane allocates CIDRs for every node.",
    valueHint: "cidr",
  },
  rootfs: {
    completes: "directory",
    own: true,
    type: "string",
    description:
      "Write below this directory instead of /. Together with --dry-run everything that init would write lands there.",
    valueHint: "directory",
    besideConfig: true,
  },
  "service-cidr": {
    type: "string",
    description: `An alternative range of IP addresses for service VIPs (default ${SERVICE_SUBNET}).`,
    valueHint: "cidr",
  },
  "service-dns-domain": {
    type: "string",
    description: `An alternative domain for services (default ${DNS_DOMAIN}).`,
    valueHint: "domain",
  },
  "skip-certificate-key-print": {
    type: "boolean",
    description: "Don't print the key used to encrypt the control-plane certificates.",
    besideConfig: true,
  },
  "skip-token-print": {
    type: "boolean",
    description: "Skip printing of the default bootstrap token.",
    besideConfig: true,
  },
  token: {
    type: "string",
    description:
      "The token to use for establishing trust between nodes and control-plane nodes ([a-z0-9]{6}.[a-z0-9]{16}).",
    valueHint: "token",
  },
  "token-ttl": {
    type: "string",
    description: "The duration before the token is deleted (e.g. 1s, 2m, 3h). '0' never expires (default 24h0m0s).",
    valueHint: "duration",
  },
  "upload-certs": {
    type: "boolean",
    description: "Upload control-plane certificates to the kubeadm-certs Secret.",
    besideConfig: true,
  },

  ...COMMON_ARGS,
});

/** Flags of every `init phase X`, besides those that the phase itself names. */
export const PHASE_FLAGS = [
  "config",
  "dry-run",
  "rootfs",
  "ignore-preflight-errors",
  "node-name",
  "cri-socket",
  "output",
  "v",
];
