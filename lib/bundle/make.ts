import { statfsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { USER_YAML } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { makeDirectory } from "../host/directories.ts";
import { lockTarget } from "../host/lock.ts";
import { writeWhole } from "../host/new-file.ts";
import { removeTree } from "../host/remove.ts";
import { layoutTar } from "../oci/layout-tar.ts";
import { parseReference } from "../oci/reference.ts";
import { Staging } from "../oci/staging.ts";
import { progressLine } from "../ui/progress.ts";
import { formatBytes } from "../ui/table.ts";
import type { Ui } from "../ui/ui.ts";
import { compose } from "./compose.ts";
import type { Contents } from "./contents.ts";
import { addDigestNames } from "./digest-names.ts";
import { leftOut } from "./left-out.ts";
import { openLocal } from "./local.ts";
import type { BundleLock } from "./lock.ts";
import { mirrored } from "./lock-binary.ts";
import { lockImage } from "./lock-image.ts";
import { recompress } from "./recompress.ts";
import { openRegistry, type RemoteOptions, readText } from "./remote.ts";
import type { Plan, Progress, Sources } from "./sources.ts";
import { stageLocal } from "./stage-local.ts";
import { stageLock } from "./stage-lock.ts";
import { userYamlImages } from "./user-yaml.ts";

const LEFT_OUT_SHOWN = 20;

/** What goes into a new bundle, and where it comes from. */
export interface MakeOptions {
  file: string;
  architectures: string[];
  /** What is pinned; without a lock everything of `from` goes in. */
  lock?: BundleLock | undefined;
  /** Who pins it, for messages. */
  pinnedBy: string;
  /** The Kubernetes version of a bundle without a lock. */
  kubernetesVersion?: string | undefined;
  /** Files and directories to take contents from. */
  from: string[];
  offline: boolean;
  images: string[];
  /** Files of Kubernetes manifests, whose images go in too. */
  manifests: string[];
  /** Compress layers anew. */
  zstd: boolean;
  remote: RemoteOptions;
}

/** Makes a bundle; an interrupted run goes on where it stopped. Throws KubestickError. */
export async function makeBundle(
  options: MakeOptions,
  ui: Ui,
): Promise<{ file: string; bytes: number; contents: Contents }> {
  const { file, architectures, lock, remote } = options;
  const version = lock ? lock.kubernetesVersion : options.kubernetesVersion;
  const local = openLocal(options.from, version);
  if (lock)
    ui.step(
      "create",
      `Kubernetes ${lock.kubernetesVersion} for ${architectures.join(" and ")}: ${lock.images.length} images and ${lock.binaries.length} host binaries, as pinned by ${options.pinnedBy}`,
    );
  makeDirectory(dirname(file));
  using _lock = lockTarget(file);
  const staging = new Staging(join(dirname(file), `.${basename(file)}.blobs`));
  const registry = openRegistry(remote);
  const show = progressLine(ui, "create");
  const sources: Sources = {
    registry,
    staging,
    local,
    offline: options.offline,
    locate: (url: string) => mirrored(url, remote.downloadMirror),
    progress: (state: Progress) => show(() => stateLine(state)),
    planned: (plan: Plan) => tellPlan(plan, file, ui),
  };
  try {
    const contents = lock
      ? await stageLock(lock, architectures, sources)
      : stageLocal(local, architectures, version, staging);
    if (!lock) sayLeftOut(ui, leftOut(local, architectures, contents));
    await addOwn(options, contents, sources);
    if (options.zstd) await recompressAll(contents, staging, ui);
    const { index, blobs } = compose(contents, staging);
    const bytes = writeWhole(file, 0o644, layoutTar(index, blobs, staging), (done) =>
      show(() => `Writing ${file}: ${formatBytes(done)}`),
    );
    removeTree(staging.path);
    ui.step(
      "create",
      `Wrote ${file}: ${contents.images.length} images, ${contents.binaries.length} host binaries, ${formatBytes(bytes)}`,
    );
    return { file, bytes, contents };
  } catch (error) {
    staging.removeIfEmpty();
    throw error;
  } finally {
    await registry.downloader.close();
  }
}

function sayLeftOut(ui: Ui, { warnings, notes }: ReturnType<typeof leftOut>): void {
  const some = (all: string[]) =>
    all.length > LEFT_OUT_SHOWN ? [...all.slice(0, LEFT_OUT_SHOWN), `And ${all.length - LEFT_OUT_SHOWN} more`] : all;
  for (const words of some(notes)) ui.step("create", words);
  for (const words of some(warnings)) ui.warn(words);
}

/** Adds the images and manifests that the user named. */
async function addOwn(options: MakeOptions, contents: Contents, sources: Sources): Promise<void> {
  const names = options.images.map((text) => parseReference(text).name);
  for (const file of options.manifests) {
    const text = readText(file);
    names.push(...userYamlImages(text, file));
    contents.userYaml.push({
      title: basename(file),
      blob: sources.staging.put(USER_YAML, Buffer.from(text)),
    });
  }
  addDigestNames(contents, names);
  const missing = [...new Set(names)].filter((name) => !contents.images.some((image) => image.name === name));
  if (missing.length === 0) return;
  if (options.offline)
    throw new KubestickError(`nothing given with --from has ${missing.join(", ")}`, {
      hint: "give another --from, or leave --offline out",
      code: "not-found",
    });
  const images = [];
  for (const name of missing) images.push(await lockImage(sources.registry, name, options.architectures));
  const own = await stageLock({ kubernetesVersion: "", images, binaries: [] }, options.architectures, sources);
  contents.images.push(...own.images);
}

/** Says how much is to come, and warns where the disk is too small for it. */
function tellPlan({ files, bytes, unknown, total }: Plan, target: string, ui: Ui): void {
  if (files === 0) return;
  const open = unknown > 0 ? `, and ${unknown} of them are of unknown size` : "";
  ui.step("create", `To get: ${files} files, ${formatBytes(bytes)}${open}`);
  const { bavail, bsize } = statfsSync(dirname(resolve(target)));
  // What was staged goes only when the bundle has been written.
  const [needed, free] = [bytes + total, bavail * bsize];
  if (needed > free)
    ui.warn(
      `${dirname(resolve(target))} has ${formatBytes(free)} free, and making the bundle there takes ${formatBytes(needed)}`,
    );
}

async function recompressAll(contents: Contents, staging: Staging, ui: Ui): Promise<void> {
  const size = () =>
    [...new Map(contents.images.flatMap((i) => i.layers).map((l) => [l.digest, l.size])).values()].reduce(
      (a, b) => a + b,
      0,
    );
  const before = size();
  for (const [i, image] of contents.images.entries()) {
    ui.live("create", [`Compressing ${image.name} (${i + 1} of ${contents.images.length})`]);
    contents.images[i] = await recompress(image, staging);
  }
  const after = size();
  ui.step(
    "create",
    `zstd: layers went from ${formatBytes(before)} to ${formatBytes(after)}, ${(100 - (after / before) * 100 || 0).toFixed(1)}% less`,
  );
}

function stateLine(state: Progress): string {
  const share = state.bytes > 0 ? Math.min(1, state.bytesDone / state.bytes) : 0;
  const bar = "#".repeat(Math.round(share * 20)).padEnd(20, ".");
  const of = state.bytes > state.bytesDone ? ` of ${formatBytes(state.bytes)}` : "";
  return `[${bar}] ${state.filesDone} of ${state.files} files, ${formatBytes(state.bytesDone)}${of}`;
}
