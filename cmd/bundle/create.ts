import { chooseLock, requireVersion } from "../../lib/bundle/choose-lock.ts";
import type { Contents } from "../../lib/bundle/contents.ts";
import { makeBundle } from "../../lib/bundle/make.ts";
import { architectures, OWN_ARCH, REMOTE_ARGS, remoteOptions } from "../args/bundle.ts";
import { list } from "../args/common.ts";
import { args, command } from "../command.ts";

const ARGS = args({
  file: {
    type: "positional",
    required: true,
    ask: "which file?",
    description: "The file to write.",
    completes: "file",
  },
  ...REMOTE_ARGS,
  lock: {
    type: "string",
    description: "The lock file (default: what this kubestick itself pins of the Kubernetes version).",
    valueHint: "file",
    completes: "file",
  },
  from: {
    type: "string",
    description:
      "Files and directories to take contents from: OCI layouts, bundles, docker save's archives, host binaries. Without --lock everything in them goes in.",
    valueHint: "paths",
    list: true,
    completes: "file",
  },
  manifest: {
    type: "string",
    description: "A file of Kubernetes manifests to take along, with the images that it names.",
    valueHint: "files",
    list: true,
    completes: "file",
  },
  offline: { type: "boolean", description: "Download nothing." },
  zstd: { type: "boolean", description: "Compress layers anew with zstd and say what that gained." },
});

export default command({
  name: "create",
  description: "Make a bundle of what this kubestick or a lock file pins, or of images and programs on this machine",
  args: ARGS,
  examples: [
    ["What this kubestick pins, for boards of another architecture", "kubestick bundle create bundle.tar --arch arm64"],
    [
      "With a network provider and the class's images",
      "kubestick bundle create bundle.tar --manifest flannel.yaml --image busybox:1.36",
    ],
    [
      "Out of what is on this machine, without a network",
      "kubestick bundle create bundle.tar --from images/ --offline",
    ],
  ],
  run: async ({ args, out }) => {
    const archs = architectures(args.arch);
    const from = list(args.from);
    const lock =
      args.lock !== undefined || from.length === 0 ? chooseLock(args.lock, args["kubernetes-version"]) : undefined;
    const version = args["kubernetes-version"];
    const made = await makeBundle(
      {
        file: args.file,
        architectures: archs,
        lock,
        pinnedBy: args.lock ?? "this kubestick",
        kubernetesVersion: lock || version === undefined ? undefined : requireVersion(version),
        from,
        offline: args.offline === true,
        images: list(args.image),
        userYaml: list(args.manifest),
        zstd: args.zstd === true,
        remote: remoteOptions(args),
      },
      out.ui,
    );
    const { file, bytes, contents } = made;
    out.ui.print(`Next: ${nextCommand(contents, archs, file)}`);
    out.report({ file, bytes, images: contents.images.length, binaries: contents.binaries.length });
  },
});

/** What to type next: a control plane of this bundle where it holds one for this machine, else one file for another. */
function nextCommand(contents: Contents, archs: string[], target: string): string {
  if (!contents.images.some(({ name }) => name.includes("/kube-apiserver:"))) return `kubestick bundle list ${target}`;
  if (archs.includes(OWN_ARCH)) return `sudo kubestick init --bundle ${target}`;
  return `kubestick bundle attach ${target} --executable kubestick-linux-${archs[0]} --file kubestick`;
}
