import { join, resolve } from "node:path";
import { KubestickError } from "../errors.ts";
import { makeDirectory, ownDirectory, refusePlantedLinks } from "../host/directories.ts";
import { lockTarget } from "../host/lock.ts";
import { writeWhole } from "../host/new-file.ts";
import { verifiedChunks } from "../oci/store.ts";
import type { Ui } from "../ui/ui.ts";
import type { Bundle } from "./bundle.ts";

/**
 * Writes a bundle's host binaries as they were published (`bin/ARCH`), its manifests (`manifests`), and one that is
 * attached to an executable as a tar (`bundle.tar`). Returns the directory's full path. Throws KubestickError.
 */
export function extractBundle(bundle: Bundle, directory: string, architectures: string[], ui: Ui): string {
  const target = resolve(directory);
  const write = (folders: string[], name: string, mode: number, chunks: Iterable<Buffer>) => {
    // They come out of the bundle and could name any path.
    for (const part of [...folders, name])
      if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(part))
        throw new KubestickError(`${bundle.path} names a file ${JSON.stringify(part)}, which is no plain name`, {
          code: "damaged",
        });
    // Each of them, because others may have put something into a directory that they share.
    for (let depth = 1; depth <= folders.length; depth++) ownDirectory(join(target, ...folders.slice(0, depth)), 0o755);
    const file = join(target, ...folders, name);
    using _lock = lockTarget(file);
    writeWhole(file, mode, chunks);
    ui.step("extract", join(directory, ...folders, name));
  };
  refusePlantedLinks(target);
  makeDirectory(target);
  for (const { arch, title, archive, blob } of bundle.binaries.filter((b) => architectures.includes(b.arch)))
    write(["bin", arch], title, archive ? 0o644 : 0o755, verifiedChunks(bundle.store, blob));
  for (const { title, blob } of bundle.userYaml) write(["manifests"], title, 0o644, verifiedChunks(bundle.store, blob));
  if (bundle.executableBytes > 0) write([], "bundle.tar", 0o644, bundle.region.chunks(0, bundle.region.length));
  return target;
}
