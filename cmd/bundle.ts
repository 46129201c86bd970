import { networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { installBinary } from "../lib/binaries/install.ts";
import { planBinaries, refuseForeign } from "../lib/binaries/plan.ts";
import { attach, detach, saveBundle } from "../lib/bundle/attach.ts";
import { Bundle } from "../lib/bundle/bundle.ts";
import { DEFAULT_CRI_SOCKET } from "../lib/constants/paths.ts";
import { KUBERNETES_VERSION } from "../lib/constants/versions.ts";
import { KubestickError, UsageError } from "../lib/errors.ts";
import { makeDirectory, ownDirectory, refusePlantedLinks } from "../lib/host/directories.ts";
import { Files } from "../lib/host/files.ts";
import { lockHost, lockTarget } from "../lib/host/lock.ts";
import { writeWhole } from "../lib/host/new-file.ts";
import { joinHostPort, splitHostPort } from "../lib/net/ip.ts";
import { verifiedChunks } from "../lib/oci/store.ts";
import { findCtr, importImages } from "../lib/runtime/images.ts";
import { offerFiles } from "../lib/serve/offer.ts";
import { serve } from "../lib/serve/serve.ts";
import { isCompiled } from "../lib/services/executable.ts";
import { progressLine } from "../lib/ui/progress.ts";
import { formatBytes, formatTable } from "../lib/ui/table.ts";
import { printJson, printText } from "../lib/ui/ui.ts";
import { architectures, bundlePath, OWN_ARCH } from "./bundle-flags.ts";
import { listValue, uiOf } from "./flags.ts";

type Given = Map<string, string>;

function withBundle<T>(path: string | undefined, use: (bundle: Bundle) => T): T {
  const bundle = Bundle.open(bundlePath(path));
  const result = use(bundle);
  if (result instanceof Promise) return result.finally(() => bundle.close()) as T;
  bundle.close();
  return result;
}

/** `bundle inspect [FILE]`: what a bundle is, in a few lines. Throws KubestickError. */
export function inspectCommand(given: Given, [file]: string[]): void {
  withBundle(file, (bundle) => {
    const bytes = bundle.blobs.reduce((sum, blob) => sum + blob.size, 0);
    const summary = {
      file: bundle.path,
      attachedTo: bundle.executableBytes > 0 ? "an executable" : undefined,
      kubernetesVersion: bundle.kubernetesVersion,
      architectures: bundle.architectures,
      images: bundle.images.length,
      binaries: bundle.binaries.length,
      manifests: bundle.userYaml.length,
      blobs: bundle.blobs.length,
      bytes,
    };
    if (given.get("output") === "json") return printJson(summary);
    const rows = [
      ["File", `${bundle.path}${summary.attachedTo ? " (attached to an executable)" : ""}`],
      ["Kubernetes", bundle.kubernetesVersion ?? "not said"],
      ["Architectures", bundle.architectures.join(", ")],
      ["Contents", `${summary.images} images, ${summary.binaries} host binaries, ${summary.manifests} manifests`],
      ["Size", `${formatBytes(bytes)} in ${summary.blobs} blobs`],
    ];
    printText(formatTable(rows));
  });
}

/** `bundle list [FILE]`: every image and host binary. Throws KubestickError. */
export function listCommand(given: Given, [file]: string[]): void {
  withBundle(file, (bundle) => {
    const wanted = given.has("arch") ? architectures(given) : bundle.architectures;
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
    const items = [...images, ...binaries, ...manifests];
    if (given.get("output") === "json") return printJson({ file: bundle.path, items });
    const rows = items.map((i) => [i.kind.toUpperCase(), i.arch, formatBytes(i.bytes), i.digest.slice(0, 19), i.name]);
    printText(formatTable([["KIND", "ARCH", "SIZE", "DIGEST", "NAME"], ...rows]));
  });
}

/** `bundle verify [FILE]`: reads every blob and checks its digest. Throws KubestickError when the bundle is damaged. */
export function verifyCommand(given: Given, [file]: string[]): void {
  withBundle(file, (bundle) => {
    const ui = uiOf(given);
    const show = progressLine(ui, "verify");
    const { blobs, bytes } = bundle.verify(undefined, (done) => show(() => `${formatBytes(done)} read`));
    if (ui.json) return printJson({ command: "bundle verify", file: bundle.path, blobs, bytes, ok: true });
    ui.print(`${bundle.path}: ${blobs} blobs, ${formatBytes(bytes)}, all as their digests say`);
  });
}

/** `bundle extract FILE DIR`, or `extract DIR`: host binaries as published, manifests, and the bundle itself as OCI tar. */
export function extractCommand(given: Given, positionals: string[]): void {
  const [file, directory] = positionals.length > 1 ? positionals : [undefined, positionals[0]];
  if (directory === undefined) throw new UsageError("where to?", "kubestick bundle extract [FILE] DIRECTORY");
  withBundle(file, (bundle) => {
    const ui = uiOf(given);
    const wanted = given.has("arch") ? architectures(given) : bundle.architectures;
    const target = resolve(directory);
    const write = (folders: string[], name: string, mode: number, chunks: Iterable<Buffer>) => {
      // They come out of the bundle and could name any path.
      for (const part of [...folders, name])
        if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(part))
          throw new KubestickError(`${bundle.path} names a file ${JSON.stringify(part)}, which is no plain name`);
      // Each of them, because others may have put something into a directory that they share.
      for (let depth = 1; depth <= folders.length; depth++)
        ownDirectory(join(target, ...folders.slice(0, depth)), 0o755);
      const file = join(target, ...folders, name);
      using _lock = lockTarget(file);
      writeWhole(file, mode, chunks);
      ui.step("extract", join(directory, ...folders, name));
    };
    refusePlantedLinks(target);
    makeDirectory(target);
    for (const { arch, title, archive, blob } of bundle.binaries.filter((b) => wanted.includes(b.arch)))
      write(["bin", arch], title, archive ? 0o644 : 0o755, verifiedChunks(bundle.store, blob));
    for (const { title, blob } of bundle.userYaml)
      write(["manifests"], title, 0o644, verifiedChunks(bundle.store, blob));
    if (bundle.executableBytes > 0) write([], "bundle.tar", 0o644, bundle.region.chunks(0, bundle.region.length));
    if (ui.json) printJson({ command: "bundle extract", file: bundle.path, directory: target });
  });
}

/** `bundle attach BUNDLE`: makes one file of an executable and a bundle. Throws KubestickError. */
export function attachCommand(given: Given, [file]: string[]): void {
  if (file === undefined)
    throw new UsageError("which bundle?", "kubestick bundle attach FILE [--executable FILE] [--file FILE]");
  const ui = uiOf(given);
  const executable = executablePath(given);
  const target = given.get("file") ?? executable;
  using _lock = lockTarget(target);
  const bytes = attach(executable, file, target);
  ui.step("attach", `Wrote ${target}: ${formatBytes(bytes)}; it carries ${file}`);
  if (ui.json) printJson({ command: "bundle attach", file: target, bytes });
}

/** `bundle detach`: takes the bundle off an executable; `bundle detach FILE` keeps it in a file of its own. */
export function detachCommand(given: Given, [bundleFile]: string[]): void {
  const ui = uiOf(given);
  const executable = executablePath(given);
  const target = given.get("file") ?? executable;
  using _lock = lockTarget(target);
  if (bundleFile !== undefined) {
    using _other = lockTarget(bundleFile);
    ui.step("detach", `Wrote ${bundleFile}: ${formatBytes(saveBundle(executable, bundleFile))}`);
  }
  const bytes = detach(executable, target);
  ui.step("detach", `Wrote ${target}: ${formatBytes(bytes)}, without a bundle`);
  if (ui.json) printJson({ command: "bundle detach", file: target, bytes });
}

function executablePath(given: Given): string {
  const named = given.get("executable");
  if (named !== undefined) return named;
  if (isCompiled()) return process.execPath;
  throw new UsageError("which executable?", "name it with --executable; npm run build makes it");
}

/** `bundle load [FILE]`: host binaries onto this host, and images into containerd. Throws KubestickError. */
export function loadCommand(given: Given, [file]: string[]): Promise<void> {
  return withBundle(file, async (bundle) => {
    const ui = uiOf(given);
    const imagesOnly = given.get("images-only") === "true";
    bundle.requireArchitecture(OWN_ARCH);
    // The import verifies on its way, and containerd takes all or nothing; programs are in use as soon as they are there.
    if (!imagesOnly) {
      ui.step("load", `Verifying ${bundle.path}`);
      bundle.ensureVerified(OWN_ARCH);
    }
    const files = new Files("/");
    using _lock = lockHost(files);
    const decisions = imagesOnly
      ? []
      : planBinaries(bundle, {
          arch: OWN_ARCH,
          kubernetesVersion: bundle.kubernetesVersion ?? KUBERNETES_VERSION,
          force: given.get("force") === "true",
          files,
        });
    refuseForeign(decisions);
    for (const decision of decisions) {
      const { kind, binary, action, why } = decision;
      const written = action === "install" ? await installBinary(bundle, decision, files) : [];
      ui.step(
        "load",
        written.length > 0 ? `Installed ${kind.name} ${binary.version}: ${written.join(", ")}` : `${kind.name}: ${why}`,
      );
    }
    const images = bundle.images.filter((image) => image.arch === OWN_ARCH);
    const show = progressLine(ui, "load");
    const count = await importImages(
      bundle.store,
      images,
      findCtr(given.get("cri-socket") ?? DEFAULT_CRI_SOCKET),
      (done) => show(() => `Importing images: ${formatBytes(done)}`),
    );
    ui.step("load", `Imported ${count} images; ${images.length - count} were there already`);
    if (ui.json) printJson({ command: "bundle load", file: bundle.path, imported: count, images: images.length });
  });
}

/** `bundle serve [FILE]`: offers executable, bundle and images to the LAN until it is stopped. Throws KubestickError. */
export async function serveCommand(given: Given, [file]: string[]): Promise<void> {
  const ui = uiOf(given);
  const text = given.get("listen") ?? "0.0.0.0:5080";
  const listen = splitHostPort(text.startsWith(":") ? `0.0.0.0${text}` : text);
  if (!listen) throw new UsageError(`--listen takes HOST:PORT, not ${JSON.stringify(text)}`);
  const compiled = isCompiled();
  await withBundle(file, async (bundle) => {
    ui.step("serve", `Reading ${bundle.path} for its SHA-256`);
    const offered = offerFiles(bundle, compiled ? { path: process.execPath, arch: OWN_ARCH } : undefined);
    const names = listValue(given, "server-name");
    const server = serve(bundle, offered, { hostname: listen.host, port: listen.port ?? 5080, names });
    const here = listen.host === "0.0.0.0" || listen.host === "::" ? ownAddress() : listen.host;
    const base = `http://${joinHostPort(here, server.port)}`;
    const first = compiled ? "kubestick" : "bundle.tar";
    if (ui.json) printJson({ command: "bundle serve", file: bundle.path, url: base, files: Object.keys(offered) });
    ui.print(`Serving ${bundle.path} at ${base}
On another board:
  curl -fO ${base}/${first}
  echo "${offered[first]!.sha256}  ${first}" | sha256sum -c${compiled ? ` && chmod +x ${first}` : ""}
As a mirror of any registry: kubestick init --registry-mirror '*=${base}'
Stop with Ctrl-C.`);
    await new Promise<void>((done) => {
      process.once("SIGINT", () => done());
      process.once("SIGTERM", () => done());
    });
    await server.stop();
  });
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((a) => !a.internal && a.family === "IPv4")?.address ?? "127.0.0.1";
}
