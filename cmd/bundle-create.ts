import { existsSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { compose } from "../lib/bundle/compose.ts";
import type { Contents } from "../lib/bundle/contents.ts";
import { addDigestNames } from "../lib/bundle/digest-names.ts";
import { leftOut } from "../lib/bundle/left-out.ts";
import { openLocal } from "../lib/bundle/local.ts";
import { type BundleLock, formatLock, parseLock } from "../lib/bundle/lock.ts";
import { mirrored } from "../lib/bundle/lock-binary.ts";
import { lockImage } from "../lib/bundle/lock-image.ts";
import { recompress } from "../lib/bundle/recompress.ts";
import { resolveLock } from "../lib/bundle/resolve.ts";
import type { Plan, Progress, Sources } from "../lib/bundle/sources.ts";
import { stageLocal } from "../lib/bundle/stage-local.ts";
import { stageLock } from "../lib/bundle/stage-lock.ts";
import { userYamlImages } from "../lib/bundle/user-yaml.ts";
import { hostBinaryKind } from "../lib/constants/host-binaries.ts";
import { USER_YAML } from "../lib/constants/oci.ts";
import { KUBERNETES_VERSION } from "../lib/constants/versions.ts";
import { KubestickError, reason, UsageError } from "../lib/errors.ts";
import { makeDirectory } from "../lib/host/directories.ts";
import { Files } from "../lib/host/files.ts";
import { lockTarget } from "../lib/host/lock.ts";
import { writeWhole } from "../lib/host/new-file.ts";
import { readPlainText } from "../lib/host/plain-file.ts";
import { removeTree } from "../lib/host/remove.ts";
import { Downloader } from "../lib/net/download.ts";
import { RegistryCredentials } from "../lib/oci/credentials.ts";
import { layoutTar } from "../lib/oci/layout-tar.ts";
import { parseMirrors } from "../lib/oci/mirrors.ts";
import { parseReference } from "../lib/oci/reference.ts";
import { Registry } from "../lib/oci/registry.ts";
import { Staging } from "../lib/oci/staging.ts";
import { progressLine } from "../lib/ui/progress.ts";
import { formatBytes } from "../lib/ui/table.ts";
import { printJson, type Ui } from "../lib/ui/ui.ts";
import { parseVersion } from "../lib/util/version.ts";
import { architectures, OWN_ARCH } from "./bundle-flags.ts";
import { listValue, uiOf } from "./flags.ts";

type Given = Map<string, string>;

const LEFT_OUT_SHOWN = 20;
const MAX_CREDENTIALS_BYTES = 1024 * 1024;

/** `bundle lock`: pins what a Kubernetes version needs, and leaves what is pinned as it is. Throws KubestickError. */
export async function lockCommand(given: Given): Promise<void> {
  const ui = uiOf(given);
  const version = kubernetesVersion(given) ?? KUBERNETES_VERSION;
  const file = given.get("lock") ?? `kubernetes-${minorOf(version)}.lock.yaml`;
  makeDirectory(dirname(file));
  using _lock = lockTarget(file);
  const written = existsSync(file) ? readLock(file) : undefined;
  const own =
    given.get("fresh") === "true" ? undefined : await ownPins(version, binaryVersions(listValue(given, "binary")));
  const known = written ?? own;
  if (known && known.kubernetesVersion !== version)
    throw new UsageError(
      `${file} pins Kubernetes ${known.kubernetesVersion}, not ${version}`,
      "what is pinned is never changed: name a new file with --lock, or remove that one",
    );
  const registry = openRegistry(given);
  try {
    const lock = await resolveLock(
      version,
      registry,
      {
        architectures: architectures(given),
        images: listValue(given, "image"),
        binaries: binaryVersions(listValue(given, "binary")),
        downloadMirror: given.get("download-mirror"),
        known,
      },
      (what) => ui.step("lock", `Resolving ${what}`),
    );
    const text = formatLock(lock);
    const same = written !== undefined && formatLock(written) === text;
    if (!same) new Files("/").write(resolve(file), text, { mode: 0o644 });
    ui.step(
      "lock",
      same
        ? `${file} pins all of it already`
        : `Wrote ${file}: ${lock.images.length} images, ${lock.binaries.length} host binaries`,
    );
    ui.print(`Next: kubestick bundle create bundle.tar --lock ${file}`);
    if (ui.json) printJson({ command: "bundle lock", file, ...lock });
  } finally {
    await registry.downloader.close();
  }
}

/** `bundle create FILE`. Throws KubestickError; an interrupted run goes on where it stopped. */
export async function createCommand(given: Given, [target]: string[]): Promise<void> {
  if (target === undefined) throw new UsageError("which file?", "kubestick bundle create FILE.tar");
  const ui = uiOf(given);
  const archs = architectures(given);
  const from = listValue(given, "from");
  const offline = given.get("offline") === "true";
  const useLock = given.has("lock") || from.length === 0;
  const lock = useLock ? await chosenLock(given) : undefined;
  const version = lock ? lock.kubernetesVersion : kubernetesVersion(given);
  const local = openLocal(from, version);
  if (lock)
    ui.step(
      "create",
      `Kubernetes ${lock.kubernetesVersion} for ${archs.join(" and ")}: ${lock.images.length} images and ${lock.binaries.length} host binaries, as pinned by ${given.get("lock") ?? "this kubestick"}`,
    );
  makeDirectory(dirname(target));
  using _lock = lockTarget(target);
  const staging = new Staging(join(dirname(target), `.${basename(target)}.blobs`));
  const registry = openRegistry(given);
  const show = progressLine(ui, "create");
  const sources = {
    registry,
    staging,
    local,
    offline,
    locate: (url: string) => mirrored(url, given.get("download-mirror")),
    progress: (state: Progress) => show(() => stateLine(state)),
    planned: (plan: Plan) => tellPlan(plan, target, ui),
  };
  try {
    const contents = lock ? await stageLock(lock, archs, sources) : stageLocal(local, archs, version, staging);
    if (!lock) sayLeftOut(ui, leftOut(local, archs, contents));
    await addOwn(given, contents, archs, sources);
    if (given.get("zstd") === "true") await recompressAll(contents, staging, ui);
    const { index, blobs } = compose(contents, staging);
    const bytes = writeWhole(target, 0o644, layoutTar(index, blobs, staging), (done) =>
      show(() => `Writing ${target}: ${formatBytes(done)}`),
    );
    removeTree(staging.path);
    ui.step(
      "create",
      `Wrote ${target}: ${contents.images.length} images, ${contents.binaries.length} host binaries, ${formatBytes(bytes)}`,
    );
    ui.print(`Next: ${nextCommand(contents, archs, target)}`);
    if (ui.json)
      printJson({
        command: "bundle create",
        file: target,
        bytes,
        images: contents.images.length,
        binaries: contents.binaries.length,
      });
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
async function addOwn(given: Given, contents: Contents, archs: string[], sources: Sources): Promise<void> {
  const names = listValue(given, "image").map((text) => parseReference(text).name);
  for (const file of listValue(given, "manifest")) {
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
  if (sources.offline)
    throw new KubestickError(`nothing given with --from has ${missing.join(", ")}`, {
      hint: "give another --from, or leave --offline out",
    });
  const images = [];
  for (const name of missing) images.push(await lockImage(sources.registry, name, archs));
  const own = await stageLock({ kubernetesVersion: "", images, binaries: [] }, archs, sources);
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

/** What to type next: a control plane of this bundle where it holds one for this machine, else one file for another. */
function nextCommand(contents: Contents, archs: string[], target: string): string {
  if (!contents.images.some(({ name }) => name.includes("/kube-apiserver:"))) return `kubestick bundle list ${target}`;
  if (archs.includes(OWN_ARCH)) return `sudo kubestick init --bundle ${target}`;
  return `kubestick bundle attach ${target} --executable kubestick-linux-${archs[0]} --file kubestick`;
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

function openRegistry(given: Given): Registry {
  const named = given.get("registry-config");
  // A file that was named is wrong at once, the user's own only when it is needed.
  const read = (files: string[]) =>
    files.reduce((all, file) => all.add(readText(file, MAX_CREDENTIALS_BYTES), file), new RegistryCredentials());
  let credentials = named === undefined ? undefined : read([named]);
  const mirrors = parseMirrors(listValue(given, "registry-mirror"));
  return new Registry(new Downloader(listValue(given, "insecure-registry")), {
    mirrors,
    credentials: () => {
      credentials ??= read(ownCredentialFiles(process.env).filter((file) => existsSync(file)));
      return credentials;
    },
  });
}

/** Where skopeo, podman and docker keep what their `login` was told, in the order in which they count. */
function ownCredentialFiles(env: Record<string, string | undefined>): string[] {
  const { REGISTRY_AUTH_FILE: auth, XDG_RUNTIME_DIR: runtime, DOCKER_CONFIG: docker } = env;
  return [
    ...(auth ? [auth] : []),
    join(runtime || `/run/containers/${process.getuid?.() ?? 0}`, runtime ? "containers/auth.json" : "auth.json"),
    join(homedir(), ".config/containers/auth.json"),
    join(docker || join(homedir(), ".docker"), "config.json"),
  ];
}

function kubernetesVersion(given: Given): string | undefined {
  const text = given.get("kubernetes-version");
  if (text === undefined) return undefined;
  if (!parseVersion(text))
    throw new UsageError(
      `--kubernetes-version is a version such as ${KUBERNETES_VERSION}, not ${JSON.stringify(text)}`,
    );
  return text.startsWith("v") ? text : `v${text}`;
}

const minorOf = (version: string) => /^v\d+\.\d+/.exec(version)?.[0];

/** The lock that --lock names, or this executable's own for the version asked for (a minor version will do). */
async function chosenLock(given: Given): Promise<BundleLock> {
  const minor = /^v?(\d+\.\d+)$/.exec(given.get("kubernetes-version") ?? "")?.[1];
  const wanted = minor ? `v${minor}` : kubernetesVersion(given);
  const file = given.get("lock");
  if (file === undefined)
    return (await import("../lib/bundle/embedded.ts")).requireEmbeddedLock(wanted ?? KUBERNETES_VERSION);
  const lock = readLock(file);
  if (wanted === undefined || lock.kubernetesVersion === wanted || minorOf(lock.kubernetesVersion) === wanted)
    return lock;
  throw new UsageError(
    `${file} pins Kubernetes ${lock.kubernetesVersion}, not ${wanted}`,
    "leave --kubernetes-version out, or name the lock of that version",
  );
}

/** What this executable itself pins of exactly a version, without the host binaries of which another version is wanted. */
async function ownPins(version: string, others: Record<string, string>): Promise<BundleLock | undefined> {
  const own = (await import("../lib/bundle/embedded.ts")).embeddedLock(version);
  return own && { ...own, binaries: own.binaries.filter(({ name }) => others[name] === undefined) };
}

function readLock(file: string): BundleLock {
  if (!existsSync(file))
    throw new KubestickError(`there is no lock file ${file}`, {
      hint: "write one where there is a network: kubestick bundle lock --kubernetes-version VERSION; or name one with --lock",
    });
  return parseLock(readText(file), file);
}

function readText(file: string, limit?: number): string {
  try {
    return readPlainText(file, limit);
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${reason(error)}`);
  }
}

function binaryVersions(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = "", version = ""] = pair.split("=");
      if (!hostBinaryKind(name) || !parseVersion(version))
        throw new UsageError(`--binary takes name=version, such as containerd=v2.4.1, not ${JSON.stringify(pair)}`);
      return [name, version.startsWith("v") ? version : `v${version}`];
    }),
  );
}
