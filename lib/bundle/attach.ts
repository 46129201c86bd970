import { KubestickError } from "../errors.ts";
import { linkRootsFile, writeWhole } from "../host/new-file.ts";
import { Region } from "../host/region.ts";
import { Bundle } from "./bundle.ts";
import { inspectExecutable, openBundleFile } from "./payload.ts";
import { encodeTrailer } from "./trailer.ts";

/** Bun's own mark at the end of what it compiles; a program without it is not kubestick. */
const COMPILED_MARK = Buffer.from("---- Bun! ----");
const MARK_WITHIN = 1024 * 1024;

/**
 * Writes an executable together with a bundle: the executable as it is, the bundle's bytes, and a trailer that says
 * where they lie. A bundle that was attached before is replaced. The bundle is verified first, and must be for the
 * executable's architecture. Gives the new file's length in bytes. Throws KubestickError.
 */
export function attach(
  executable: string,
  bundleFile: string,
  target: string,
  progress?: (bytes: number) => void,
): number {
  const { arch, executableBytes } = inspectExecutable(executable);
  using program = Region.open(executable);
  const end = program.part(0, executableBytes).read(Math.max(0, executableBytes - MARK_WITHIN), MARK_WITHIN);
  if (!arch || !end.includes(COMPILED_MARK))
    throw new KubestickError(`${executable} is no kubestick executable`, {
      hint: "name one with --executable; npm run build makes them",
    });
  using bundle = Bundle.open(bundleFile);
  if (!bundle.architectures.includes(arch))
    throw new KubestickError(
      `${executable} is for ${arch}, and ${bundleFile} is for ${bundle.architectures.join(" and ") || "nothing"}`,
      { hint: `create a bundle with --arch ${arch}, or name another --executable` },
    );
  bundle.verify();
  const { region } = bundle;
  const both = function* () {
    yield* program.chunks(0, executableBytes);
    yield* region.chunks();
    yield encodeTrailer({ offset: executableBytes, length: region.length });
  };
  return writeWhole(target, 0o755, both(), progress);
}

/** Writes an executable without its bundle. Throws KubestickError when it carries none. */
export function detach(executable: string, target: string): number {
  if (!inspectExecutable(executable).hasBundle)
    throw new KubestickError(`${executable} carries no bundle`, { hint: "nothing needs to be done" });
  return copyExecutable(executable, target);
}

/** Copies an executable, without any bundle that it carries. Gives its length in bytes. Throws KubestickError. */
export function copyExecutable(executable: string, target: string): number {
  const { executableBytes } = inspectExecutable(executable);
  using program = Region.open(executable);
  return writeWhole(target, 0o755, program.chunks(0, executableBytes));
}

/**
 * As copyExecutable, by a link where that is as good: on the same file system, without a bundle, and when nobody but root
 * can change the file. It saves a small board a hundred megabytes written, and as much held in memory.
 */
export function keepExecutable(executable: string, target: string): void {
  if (inspectExecutable(executable).hasBundle || !linkRootsFile(executable, target)) copyExecutable(executable, target);
}

/** Writes the bundle that an executable carries as a file of its own. Throws KubestickError when it carries none. */
export function saveBundle(executable: string, target: string): number {
  if (!inspectExecutable(executable).hasBundle)
    throw new KubestickError(`${executable} carries no bundle`, { hint: "attach one: kubestick bundle attach" });
  using bundle = openBundleFile(executable).region;
  return writeWhole(target, 0o644, bundle.chunks());
}
