import * as fs from "node:fs";
import { basename, join } from "node:path";
import { HOST_BINARY_KINDS } from "../constants/host-binaries.ts";
import { LAYOUT_FILE } from "../constants/oci.ts";
import { KubestickError, reason } from "../host/errors.ts";
import { openDockerArchive } from "./docker-archive.ts";
import { type Layout, type LayoutBinary, readLayout } from "./layout.ts";
import { openBundleFile, Region } from "./region.ts";
import { type BlobStore, DirectoryStore, TarStore } from "./store.ts";
import { indexTar } from "./tar.ts";
import { elfArchitecture } from "./trailer.ts";

/** Images and binaries that lie on this machine. */
export interface LocalContent {
  store: BlobStore;
  layout: Layout;
}

const MAX_DEPTH = 4;

/**
 * Opens what a `--from` names: an OCI image layout (directory or tar), a bundle, a docker-archive, a published host
 * binary, or a directory of such files. `kubernetesVersion` is taken for a kubelet or kubectl whose file name tells
 * none. Throws KubestickError for what is none of these.
 */
export function openLocal(path: string, kubernetesVersion: string | undefined): LocalContent[] {
  let stat: fs.Stats;
  try {
    stat = fs.statSync(path);
  } catch (error) {
    throw new KubestickError(`cannot read ${path}: ${reason(error)}`, { hint: "check --from" });
  }
  if (stat.isFile()) return [openFile(path, kubernetesVersion)];
  if (fs.existsSync(join(path, LAYOUT_FILE))) {
    const store = new DirectoryStore(path);
    return [{ store, layout: readLayout(store) }];
  }
  const found = filesBelow(path, 0).map((file) => openFile(file, kubernetesVersion));
  if (found.length === 0) throw new KubestickError(`${path} is empty`, { hint: "check --from" });
  return found;
}

function filesBelow(path: string, depth: number): string[] {
  if (depth > MAX_DEPTH) return [];
  return fs
    .readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith("."))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const at = join(path, entry.name);
      if (entry.isDirectory()) return filesBelow(at, depth + 1);
      return fs.statSync(at).isFile() ? [at] : [];
    });
}

function openFile(path: string, kubernetesVersion: string | undefined): LocalContent {
  const binary = publishedBinary(path, kubernetesVersion);
  if (binary) return binary;
  const { region } = openBundleFile(path);
  const names = new Set(indexTar(region).map((entry) => entry.name.replace(/^\.\//, "")));
  if (names.has(LAYOUT_FILE)) {
    const store = new TarStore(region, { others: true });
    return { store, layout: readLayout(store) };
  }
  if (names.has("manifest.json")) return openDockerArchive(region);
  region.close();
  throw new KubestickError(`${path} is neither an image archive nor a host binary that kubestick knows`, {
    hint: `images: OCI layouts or docker save's archives; binaries: ${HOST_BINARY_KINDS.map((k) => k.name).join(", ")}, under the names they are published with`,
  });
}

/** A host binary by its file's name, and for a program by its ELF header; undefined when the file is none. */
function publishedBinary(path: string, kubernetesVersion: string | undefined): LocalContent | undefined {
  const title = basename(path);
  const kind = HOST_BINARY_KINDS.find(
    ({ name, archive }) => archive === /\.t(ar\.)?gz$/.test(title) && new RegExp(`^${name}(?![a-z]|-shim)`).test(title),
  );
  if (!kind) return undefined;
  const fd = fs.openSync(path, "r");
  const { size } = fs.fstatSync(fd);
  const region = new Region(fd, path, 0, size);
  const arch = kind.archive ? /(amd64|arm64)/.exec(title)?.[1] : elfArchitecture(region.read(0, 20));
  if (!arch) {
    region.close();
    return undefined;
  }
  const own = kind.name.startsWith("kube") ? kubernetesVersion : undefined;
  const version = /v?(\d+\.\d+\.\d+(?:-(?:rc|alpha|beta)\.\d+)?)/.exec(title.replace(/linux-(amd64|arm64)/, ""))?.[1];
  const blob = { mediaType: "", digest: `sha256:${region.sha256(0, size)}`, size };
  const entry: LayoutBinary = {
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
      chunks: () => region.chunks(0, size),
    },
    layout: { kubernetesVersion: undefined, images: [], binaries: [entry], manifests: [], blobs: [blob] },
  };
}
