import { args } from "../command.ts";

/** The flags of every command that sets up a node; names and meanings are kubeadm's. */
export const NODE_ARGS = args({
  config: {
    type: "string",
    description: "Path to a kubeadm configuration file.",
    valueHint: "file",
    besideConfig: true,
    completes: "file",
  },
  bundle: {
    type: "string",
    description: "The offline bundle to install from (default: the one attached to this executable, if any).",
    valueHint: "file",
    besideConfig: true,
    own: true,
    completes: "file",
  },
  force: {
    type: "boolean",
    description: "Let the bundle replace host binaries and settings that are newer or not kubestick's own.",
    besideConfig: true,
    own: true,
  },
  "registry-mirror": {
    type: "string",
    description:
      "Where containerd gets a registry's images instead, as HOST=URL; a URL alone stands for every registry.",
    valueHint: "mirrors",
    list: true,
    besideConfig: true,
    own: true,
  },
  "cri-socket": {
    type: "string",
    description: "Path to the CRI socket to connect (default unix:///run/containerd/containerd.sock).",
    valueHint: "socket",
    besideConfig: true,
    completes: "file",
  },
  "ignore-preflight-errors": {
    type: "string",
    description: "A list of checks whose errors will be shown as warnings, or 'all'.",
    valueHint: "checks",
    list: true,
    besideConfig: true,
    completes: ["all"],
  },
  "node-name": {
    type: "string",
    description: "The node name (default: the host name).",
    valueHint: "name",
    besideConfig: true,
  },
  patches: {
    type: "string",
    description: 'A directory with files named "target[suffix][+patchtype].extension".',
    valueHint: "directory",
    besideConfig: true,
    completes: "directory",
  },
  "skip-phases": {
    type: "string",
    description: "List of phases to be skipped.",
    valueHint: "phases",
    list: true,
    completes: "phases",
    besideConfig: true,
  },
});
