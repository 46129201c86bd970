import { arch as machine } from "node:os";
import { KUBERNETES_VERSION } from "../lib/constants/versions.ts";
import { UsageError } from "../lib/errors.ts";
import { checkArchitectures } from "../lib/oci/platform.ts";
import { isCompiled } from "../lib/services/executable.ts";
import { byName, type Flag, GLOBAL_FLAGS, listValue } from "./flags.ts";

const ARCH: Flag = {
  name: "arch",
  description: "Architectures: amd64, arm64 (default: this machine's).",
  valueHint: "list",
  list: true,
};

const NETWORK: Flag[] = [
  {
    name: "registry-mirror",
    description: "Where a registry's images are had instead, as HOST=URL; a URL alone stands for every registry.",
    valueHint: "mirrors",
    list: true,
  },
  {
    name: "insecure-registry",
    description: "Hosts (with their port) that may be asked over plain HTTP; loopback always may.",
    valueHint: "hosts",
    list: true,
  },
  {
    name: "registry-config",
    description: "A Docker configuration file with credentials (default ~/.docker/config.json where it is there).",
    valueHint: "file",
  },
];

const UPSTREAM: Flag[] = [
  ARCH,
  ...NETWORK,
  {
    name: "download-mirror",
    description: "Where host binaries are had instead: a URL that is put before the host and path of each address.",
    valueHint: "url",
  },
  {
    name: "image",
    description: "Another image to take along: a network provider's, a class's lab images.",
    valueHint: "names",
    list: true,
  },
  {
    name: "kubernetes-version",
    description: `The Kubernetes version (default ${KUBERNETES_VERSION}).`,
    valueHint: "version",
  },
];

const FORCE: Flag = {
  name: "force",
  description: "Replace host binaries and files that are newer or not kubestick's own.",
  type: "boolean",
};

const EXECUTABLE: Flag = {
  name: "executable",
  description: "The kubestick executable (default: this one).",
  valueHint: "file",
};

const OUTPUT_FILE: Flag = { name: "file", description: "The file to write.", valueHint: "file" };

/** The flags of each `bundle` command. */
export const BUNDLE_FLAGS = {
  lock: byName([
    ...UPSTREAM,
    {
      name: "lock",
      description: "The lock file to write or complete (default kubernetes-vX.Y.lock.yaml).",
      valueHint: "file",
    },
    {
      name: "binary",
      description: "Another version of a host binary, as name=version.",
      valueHint: "list",
      list: true,
    },
    {
      name: "fresh",
      description: "Look everything up by its tag, and take nothing from what this kubestick pins itself.",
      type: "boolean",
    },
    ...GLOBAL_FLAGS,
  ]),
  create: byName([
    ...UPSTREAM,
    {
      name: "lock",
      description: "The lock file (default: what this kubestick itself pins of the Kubernetes version).",
      valueHint: "file",
    },
    {
      name: "from",
      description:
        "Files and directories to take contents from: OCI layouts, bundles, docker save's archives, host binaries. Without --lock everything in them goes in.",
      valueHint: "paths",
      list: true,
    },
    {
      name: "manifest",
      description: "A file of Kubernetes manifests to take along, with the images that it names.",
      valueHint: "files",
      list: true,
    },
    { name: "offline", description: "Download nothing.", type: "boolean" },
    { name: "zstd", description: "Compress layers anew with zstd and say what that gained.", type: "boolean" },
    ...GLOBAL_FLAGS,
  ]),
  read: byName([ARCH, ...GLOBAL_FLAGS]),
  extract: byName([ARCH, ...GLOBAL_FLAGS]),
  attach: byName([EXECUTABLE, OUTPUT_FILE, ...GLOBAL_FLAGS]),
  load: byName([
    FORCE,
    {
      name: "cri-socket",
      description: "Path to containerd's socket (default unix:///run/containerd/containerd.sock).",
      valueHint: "socket",
    },
    { name: "images-only", description: "Leave the host binaries alone.", type: "boolean" },
    ...GLOBAL_FLAGS,
  ]),
  serve: byName([
    { name: "listen", description: "Address and port to listen on (default 0.0.0.0:5080).", valueHint: "host:port" },
    {
      name: "server-name",
      description: "Names and addresses that it answers to besides this host's own.",
      valueHint: "names",
      list: true,
    },
    ...GLOBAL_FLAGS,
  ]),
};

/** This machine's architecture by its Go name. */
export const OWN_ARCH = { x64: "amd64", arm64: "arm64" }[machine() as string] ?? machine();

/** The architectures that --arch names, or this machine's. Throws UsageError. */
export function architectures(given: Map<string, string>): string[] {
  const listed = listValue(given, "arch");
  return checkArchitectures(listed.length > 0 ? listed : [OWN_ARCH]);
}

/** The bundle that a command reads: the file named, or the one attached to this executable. Throws UsageError. */
export function bundlePath(positional: string | undefined): string {
  if (positional !== undefined) return positional;
  if (isCompiled()) return process.execPath;
  throw new UsageError("which bundle?", "name its file: kubestick bundle inspect FILE");
}
