import { basename } from "node:path";
import { HOST_BINARY_KINDS } from "../constants/host-binaries.ts";
import { ARCHITECTURES } from "../constants/oci.ts";
import { Region } from "../host/region.ts";
import { digestOfHex } from "../oci/descriptor.ts";
import { type LocalContent, NO_CONTENTS } from "./contents.ts";
import { ELF_HEAD_BYTES, elfArchitecture } from "./elf.ts";

const ARCHITECTURE = new RegExp(Object.keys(ARCHITECTURES).join("|"));

/** A host binary by its file's name, and for a program by its ELF header; undefined when the file is none. */
export function publishedBinary(path: string, kubernetesVersion: string | undefined): LocalContent | undefined {
  const title = basename(path);
  const kind = HOST_BINARY_KINDS.find(
    ({ name, archive }) => archive === /\.t(ar\.)?gz$/.test(title) && new RegExp(`^${name}(?![a-z]|-shim)`).test(title),
  );
  if (!kind) return undefined;
  const region = Region.open(path);
  const size = region.length;
  const arch = kind.archive ? ARCHITECTURE.exec(title)?.[0] : elfArchitecture(region.read(0, ELF_HEAD_BYTES));
  if (!arch) {
    region.close();
    return undefined;
  }
  const own = kind.name.startsWith("kube") ? kubernetesVersion : undefined;
  const version = /v?(\d+\.\d+\.\d+(?:-(?:rc|alpha|beta)\.\d+)?)/.exec(title.replace(ARCHITECTURE, ""))?.[1];
  const blob = { digest: digestOfHex(region.sha256()), size };
  const binary = {
    name: kind.name,
    version: version ? `v${version}` : (own ?? "unknown"),
    arch,
    title,
    archive: kind.archive,
    blob,
  };
  return {
    store: {
      path,
      file: () => undefined,
      size: (digest) => (digest === blob.digest ? size : undefined),
      chunks: () => region.chunks(),
    },
    contents: { ...NO_CONTENTS, binaries: [binary] },
    close: () => region.close(),
  };
}
