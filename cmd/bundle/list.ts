import type { Bundle } from "../../lib/bundle/bundle.ts";
import { formatBytes, formatTable } from "../../lib/ui/table.ts";
import { architectures, READ_ARGS } from "../args/bundle.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

export default command({
  name: "list",
  description: "List a bundle's images and host binaries",
  args: READ_ARGS,
  examples: [
    ["All of it", "kubestick bundle list bundle.tar"],
    ["What is for one architecture, for a program", "kubestick bundle list bundle.tar --arch arm64 --output json"],
  ],
  run: ({ args, out }) =>
    withBundle(args.file, (bundle) => {
      const items = itemsOf(bundle, args.arch === undefined ? bundle.architectures : architectures(args.arch));
      out.report({ file: bundle.path, items });
      const rows = items.map((i) => [
        i.kind.toUpperCase(),
        i.arch,
        formatBytes(i.bytes),
        i.digest.slice(0, 19),
        i.name,
      ]);
      out.print(formatTable([["KIND", "ARCH", "SIZE", "DIGEST", "NAME"], ...rows]));
    }),
});

function itemsOf(bundle: Bundle, wanted: string[]) {
  const images = bundle.images
    .filter((image) => wanted.includes(image.arch))
    .map(({ name, arch, manifest, config, layers }) => ({
      kind: "image",
      name,
      arch,
      digest: manifest.digest,
      bytes: [manifest, config, ...layers].reduce((sum, blob) => sum + blob.size, 0),
    }));
  const binaries = bundle.binaries
    .filter((binary) => wanted.includes(binary.arch))
    .map(({ name, version, arch, blob }) => ({
      kind: "binary",
      name: `${name} ${version}`,
      arch,
      digest: blob.digest,
      bytes: blob.size,
    }));
  const manifests = bundle.userYaml.map(({ title, blob }) => ({
    kind: "manifest",
    name: title,
    arch: "any",
    digest: blob.digest,
    bytes: blob.size,
  }));
  return [...images, ...binaries, ...manifests];
}
