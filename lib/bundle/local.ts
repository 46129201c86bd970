import { join } from "node:path";
import { HOST_BINARY_KINDS } from "../constants/host-binaries.ts";
import { LAYOUT_FILE } from "../constants/oci.ts";
import { KubestickError, reason } from "../errors.ts";
import { entriesOf, isDirectory } from "../host/directories.ts";
import { isThere } from "../host/file-system.ts";
import { readPlainText } from "../host/plain-file.ts";
import { Region } from "../host/region.ts";
import { compression } from "../oci/compression.ts";
import { DirectoryStore } from "../oci/directory-store.ts";
import { openDockerArchive } from "../oci/docker-archive.ts";
import { LIMITS } from "../oci/limits.ts";
import type { BlobStore } from "../oci/store.ts";
import { BLOCK, isTarHeader } from "../oci/tar-header.ts";
import { indexTar } from "../oci/tar-index.ts";
import { TarStore } from "../oci/tar-store.ts";
import { type LocalContent, NO_CONTENTS, readContents } from "./contents.ts";
import { inspectExecutable, openBundleFile } from "./payload.ts";
import { publishedBinary } from "./published-binary.ts";

const MAX_DEPTH = 4;
/** The first line of the file `version` in what `skopeo copy ... dir:` writes. */
const SKOPEO_DIRECTORY = "Directory Transport Version";

/**
 * Opens what `--from` names, each an OCI image layout (directory or tar), a bundle, a docker-archive, a published host
 * binary, or a directory of such files; what else lies in a directory is left out. `kubernetesVersion` is taken for a
 * kubelet or kubectl whose file name tells none. Throws KubestickError for a path that is none of these.
 */
export function openLocal(paths: string[], kubernetesVersion: string | undefined): LocalContent[] {
  const opener = new Opener(kubernetesVersion);
  return paths.flatMap((path) => opener.open(path));
}

class Opener {
  readonly #kubernetesVersion: string | undefined;
  #files = 0;
  #members = 0;

  constructor(kubernetesVersion: string | undefined) {
    this.#kubernetesVersion = kubernetesVersion;
  }

  open(path: string): LocalContent[] {
    if (!tryRead(path, () => isDirectory(path))) {
      const content = this.#file(path);
      if (typeof content !== "string") return [content];
      throw new KubestickError(`${path} is ${content}`, { hint: WHAT_IS_TAKEN });
    }
    const found = this.#directory(path, 0);
    if (found.length === 0) throw new KubestickError(`${path} is empty`, { hint: "check --from" });
    return found;
  }

  #directory(path: string, depth: number): LocalContent[] {
    if (isThere(join(path, LAYOUT_FILE))) return [layoutIn(new DirectoryStore(path), () => undefined)];
    if (isSkopeoDirectory(path))
      throw new KubestickError(`${path} is what skopeo copy ... dir: writes, which does not keep an image's name`, {
        hint: `copy it as an archive with its name: skopeo copy dir:${path} oci-archive:FILE.tar:registry.example.org/team/app:TAG`,
      });
    if (depth > MAX_DEPTH) return [];
    return tryRead(path, () => entriesOf(path))
      .filter((entry) => !entry.name.startsWith("."))
      .flatMap((entry) => {
        if (entry.isDirectory) return this.#directory(entry.path, depth + 1);
        const content = this.#file(entry.path);
        return [typeof content === "string" ? nothing(entry.path, content) : content];
      });
  }

  /** What a file holds; what it is instead, in words, where that is nothing for a bundle. Throws KubestickError. */
  #file(path: string): LocalContent | string {
    if (++this.#files > LIMITS.files)
      throw new KubestickError(`there are more than ${LIMITS.files} files to take contents from`, {
        hint: "make several bundles of them",
      });
    const binary = publishedBinary(path, this.#kubernetesVersion);
    if (binary) return binary;
    if (isOther(path)) return "neither an image archive nor a host binary that kubestick knows";
    const { region } = openBundleFile(path);
    try {
      const content = this.#archive(region);
      if (content) return content;
    } catch (error) {
      region.close();
      throw error;
    }
    region.close();
    return "an archive of something else than images";
  }

  #archive(region: Region): LocalContent | undefined {
    const close = () => region.close();
    const members = indexTar(region);
    this.#members += members.length;
    if (this.#members > LIMITS.allMembers)
      throw new KubestickError(`the archives have more than ${LIMITS.allMembers} members together`, {
        hint: "make several bundles of them",
      });
    const names = new Set(members.map((entry) => entry.name.replace(/^\.\//, "")));
    if (names.has(LAYOUT_FILE)) return layoutIn(new TarStore(region, { foreign: true, members }), close);
    if (!names.has("manifest.json")) return undefined;
    const { store, images, leftOut } = openDockerArchive(region, members);
    return { store, contents: { ...NO_CONTENTS, images, leftOut }, close };
  }
}

const layoutIn = (store: BlobStore, close: () => void): LocalContent => ({
  store,
  contents: readContents(store, { foreign: true }),
  close,
});

const WHAT_IS_TAKEN = `images: OCI layouts or docker save's archives; binaries: ${HOST_BINARY_KINDS.map((k) => k.name).join(", ")}, under the names they are published with`;

/** A file that is of no use here, as content that has nothing. */
function nothing(path: string, why: string): LocalContent {
  return {
    store: { path, file: () => undefined, size: () => undefined, chunks: () => [] },
    contents: { ...NO_CONTENTS, leftOut: [`${path}: ${why}`] },
    close: () => undefined,
  };
}

/** Whether a file is neither a tar, nor a compressed one, nor an executable with a bundle: a text, a checksum, a program. */
function isOther(path: string): boolean {
  using region = Region.open(path);
  const head = region.read(0, BLOCK);
  return !isTarHeader(head) && compression(head) === undefined && !inspectExecutable(path).hasBundle;
}

function isSkopeoDirectory(path: string): boolean {
  try {
    return readPlainText(join(path, "version"), BLOCK).startsWith(SKOPEO_DIRECTORY);
  } catch {
    return false;
  }
}

function tryRead<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new KubestickError(`cannot read ${path}: ${reason(error)}`, { hint: "check --from", cause: error });
  }
}
