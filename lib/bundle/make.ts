import { basename, dirname, join } from "node:path";
import { USER_YAML } from "../constants/oci.ts";
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
import { sayGain, sayLeftOut, sayPlan, stateLine } from "./make-words.ts";
import { recompressAll } from "./recompress.ts";
import { openRegistry, type RemoteOptions, readText } from "./remote.ts";
import { notLocal, type Sources } from "./sources.ts";
import { stageLocal } from "./stage-local.ts";
import { stageLock } from "./stage-lock.ts";
import { userYamlImages } from "./user-yaml.ts";

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
  userYaml: string[];
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
    locate: (url) => mirrored(url, remote.downloadMirror),
    progress: (state) => show(() => stateLine(state)),
    planned: (plan) => sayPlan(ui, plan, file),
  };
  try {
    const contents = lock
      ? await stageLock(lock, architectures, sources)
      : stageLocal(local, architectures, version, staging);
    if (!lock) sayLeftOut(ui, leftOut(local, architectures, contents));
    await addOwn(options, contents, sources);
    if (options.zstd) sayGain(ui, await recompressAll(contents.images, staging, (words) => ui.live("create", [words])));
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
    for (const content of local) content.close();
    await registry.downloader.close();
  }
}

/** Adds the images and files of YAML that the user named. */
async function addOwn(options: MakeOptions, contents: Contents, sources: Sources): Promise<void> {
  const names = options.images.map((text) => parseReference(text).name);
  for (const file of options.userYaml) {
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
  if (options.offline) throw notLocal(missing.join(", "));
  const images = [];
  for (const name of missing) images.push(await lockImage(sources.registry, name, options.architectures));
  const own = await stageLock({ kubernetesVersion: "", images, binaries: [] }, options.architectures, sources);
  contents.images.push(...own.images);
}
