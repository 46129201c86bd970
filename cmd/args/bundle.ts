import { arch as machine } from "node:os";
import type { ParsedArgs } from "citty";
import type { RemoteOptions } from "../../lib/bundle/remote.ts";
import { KUBERNETES_VERSION } from "../../lib/constants/versions.ts";
import { parseMirrors } from "../../lib/oci/mirrors.ts";
import { checkArchitectures } from "../../lib/oci/platform.ts";
import { args } from "../command.ts";
import { COMMON_ARGS, list } from "./common.ts";

/** This machine's architecture by its Go name. */
export const OWN_ARCH = { x64: "amd64", arm64: "arm64" }[machine() as string] ?? machine();

/** The architectures that --arch names, or this machine's. Throws UsageError. */
export function architectures(value: string | undefined): string[] {
  const listed = list(value);
  return checkArchitectures(listed.length > 0 ? listed : [OWN_ARCH]);
}

const ARCH_ARGS = args({
  arch: {
    type: "string",
    description: "Architectures: amd64, arm64 (default: this machine's).",
    valueHint: "list",
    list: true,
    completes: ["amd64", "arm64"],
  },
});

/** The words and flags of the commands that read a bundle. */
export const READ_ARGS = args({
  file: {
    type: "positional",
    required: false,
    description: "The bundle's file (default: the one attached to this executable).",
    completes: "file",
  },
  ...ARCH_ARGS,
  ...COMMON_ARGS,
});

/** The flags of the commands that download. */
export const REMOTE_ARGS = args({
  ...ARCH_ARGS,
  "registry-mirror": {
    type: "string",
    description: "Where a registry's images are had instead, as HOST=URL; a URL alone stands for every registry.",
    valueHint: "mirrors",
    list: true,
  },
  "insecure-registry": {
    type: "string",
    description: "Hosts (with their port) that may be asked over plain HTTP; loopback always may.",
    valueHint: "hosts",
    list: true,
  },
  "registry-config": {
    type: "string",
    description: "A Docker configuration file with credentials (default ~/.docker/config.json where it is there).",
    valueHint: "file",
    completes: "file",
  },
  "download-mirror": {
    type: "string",
    description: "Where host binaries are had instead: a URL that is put before the host and path of each address.",
    valueHint: "url",
  },
  image: {
    type: "string",
    description: "Another image to take along: a network provider's, a class's lab images.",
    valueHint: "names",
    list: true,
  },
  "kubernetes-version": {
    type: "string",
    description: `The Kubernetes version (default ${KUBERNETES_VERSION}).`,
    valueHint: "version",
  },
  ...COMMON_ARGS,
});

/** The flags of the commands that work on an executable. */
export const EXECUTABLE_ARGS = args({
  executable: {
    type: "string",
    description: "The kubestick executable (default: this one).",
    valueHint: "file",
    completes: "file",
  },
  file: { type: "string", description: "The file to write.", valueHint: "file", completes: "file" },
  ...COMMON_ARGS,
});

/** Where contents are downloaded from, as these flags say. Throws UsageError for a mirror that is none. */
export function remoteOptions(given: ParsedArgs<typeof REMOTE_ARGS>): RemoteOptions {
  return {
    mirrors: parseMirrors(list(given["registry-mirror"])),
    insecure: list(given["insecure-registry"]),
    registryConfig: given["registry-config"],
    downloadMirror: given["download-mirror"],
  };
}
