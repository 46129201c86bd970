import { KubestickError } from "../errors.ts";
import { Region } from "../host/region.ts";
import { compression } from "../oci/compression.ts";
import { ELF_HEAD_BYTES, elfArchitecture, isElf } from "./elf.ts";
import { decodeTrailer, TRAILER_BYTES } from "./trailer.ts";

/** A file that holds a bundle: the bundle's bytes, and what the file is besides. */
export interface BundleFile {
  region: Region;
  /** The length of the executable that the bundle was attached to; 0 for a bundle alone. */
  executableBytes: number;
}

/** What an executable is. */
export interface ExecutableFile {
  /** The Go name of the architecture that it is for; undefined when it is no Linux program of ours. */
  arch: string | undefined;
  /** The length of the file. */
  bytes: number;
  /** Its length without the bundle that it carries. */
  executableBytes: number;
  hasBundle: boolean;
}

/**
 * Opens a bundle: a tar alone, or one attached to an executable. Throws KubestickError when the file cannot be read, is
 * compressed, or is an executable that carries none.
 */
export function openBundleFile(path: string): BundleFile {
  const file = Region.open(path);
  try {
    const extent = attachedTo(file);
    if (extent) return { region: file.part(extent.offset, extent.length), executableBytes: extent.offset };
    const head = file.read(0, ELF_HEAD_BYTES);
    const packed = compression(head);
    if (packed)
      throw new KubestickError(`${path} is compressed with ${packed.name}`, {
        hint: `unpack it first: ${packed.unpack} ${path}`,
      });
    if (isElf(head))
      throw new KubestickError(`${path} carries no bundle`, {
        hint: `attach one: kubestick bundle attach BUNDLE --executable ${path}; or name a bundle with --bundle FILE`,
      });
    return { region: file, executableBytes: 0 };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** What an executable is, and whether it carries a bundle. Throws KubestickError when it cannot be read, or its trailer is wrong. */
export function inspectExecutable(path: string): ExecutableFile {
  using file = Region.open(path);
  const extent = attachedTo(file);
  return {
    arch: elfArchitecture(file.read(0, ELF_HEAD_BYTES)),
    bytes: file.length,
    executableBytes: extent?.offset ?? file.length,
    hasBundle: extent !== undefined,
  };
}

function attachedTo(file: Region): ReturnType<typeof decodeTrailer> {
  try {
    return decodeTrailer(file.read(Math.max(0, file.length - TRAILER_BYTES), TRAILER_BYTES), file.length);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KubestickError(`${file.path} is damaged: ${error.message}`, {
      code: "damaged",
      hint: "download or copy it again",
    });
  }
}
