import { type ChildProcess, spawn } from "node:child_process";
import { layoutTar } from "../bundle/compose.ts";
import { ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, LABEL_PINNED, OCI_INDEX } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import { run } from "../host/process.ts";
import type { LayoutImage } from "../oci/layout.ts";
import { nameByDigest } from "../oci/reference.ts";
import type { BlobStore } from "../oci/store.ts";
import { inParallel } from "../util/pool.ts";

const NAMESPACE = "k8s.io";
const LABELS_AT_ONCE = 4;
/** A slow card takes its time. */
const IMPORT_TIMEOUT_MS = 30 * 60_000;

/** How to reach containerd with its own client. */
export interface Ctr {
  program: string;
  /** The path of containerd's socket. */
  socket: string;
}

/** containerd's own client on this host, for a CRI socket. Throws KubestickError when it is not there. */
export function findCtr(criSocket: string): Ctr {
  const program = findProgram("ctr");
  if (!program)
    throw new KubestickError("there is no ctr on this host, containerd's own client, to import images with", {
      code: "runtime",
      hint: "create the bundle with containerd in it, or install it",
    });
  return { program, socket: criSocket.replace(/^unix:\/\//, "") };
}

const args = ({ socket }: Ctr, ...words: string[]) => ["--address", socket, "--namespace", NAMESPACE, ...words];

/** The images that containerd has, name → digest. Throws KubestickError when it does not answer. */
export function importedImages(ctr: Ctr): Map<string, string> {
  const lines = run(ctr.program, args(ctr, "images", "list"))
    .trim()
    .split("\n")
    .slice(1);
  return new Map(
    lines.map((line) => {
      const [name = "", , digest = ""] = line.split(/\s+/);
      return [name, digest];
    }),
  );
}

/**
 * The names that an image gets in containerd: its own, and those by the digests of its manifest and of the indexes that it
 * was published in, as containerd's CRI makes them when it pulls. A pod that asks for a tag and a digest is looked up by the
 * digest alone.
 */
export function containerdNames({ name, manifest, indexes = [] }: LayoutImage): string[] {
  return [...new Set([name, ...[manifest, ...indexes].map(({ digest }) => nameByDigest(name, digest))])];
}

/**
 * Streams images into containerd through its own import and pins them, so that the kubelet never removes what cannot be
 * pulled again. Every blob is verified on the way, and containerd takes all images or none, so a damaged one leaves nothing
 * behind. Images that are there already are left out; gives the number imported. Throws KubestickError, for an image
 * without a name before anything is imported; running it again goes on.
 */
export async function importImages(
  store: BlobStore,
  images: LayoutImage[],
  ctr: Ctr,
  progress?: (bytes: number) => void,
): Promise<number> {
  const nameless = images.find(({ name }) => name === "");
  if (nameless)
    throw new KubestickError(
      `${store.path} has an image ${nameless.said === undefined ? "without a name" : `called ${JSON.stringify(nameless.said.slice(0, 300))}, which is no name`} (${nameless.manifest.digest})`,
      { hint: `make a bundle of it: kubestick bundle create FILE.tar --from ${store.path}` },
    );
  const have = importedImages(ctr);
  const wanted = images.filter((image) =>
    containerdNames(image).some((name) => have.get(name) !== image.manifest.digest),
  );
  if (wanted.length > 0) await stream(store, wanted, ctr, progress);
  // Those of an earlier run that was killed before this, too. One pinned name keeps the image with all of its names.
  const unpinned = wanted.length > 0 ? images : [];
  await inParallel(unpinned, LABELS_AT_ONCE, ({ name }) => pin(ctr, name));
  return wanted.length;
}

async function stream(
  store: BlobStore,
  images: LayoutImage[],
  ctr: Ctr,
  progress?: (bytes: number) => void,
): Promise<void> {
  const manifests = images.flatMap((image) => {
    const { arch, manifest } = image;
    return containerdNames(image).map((name) => ({
      ...manifest,
      platform: { architecture: arch, os: "linux" },
      annotations: { [ANNOTATION_CONTAINERD_NAME]: name, [ANNOTATION_REF_NAME]: name },
    }));
  });
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  const blobs = new Map(images.flatMap((i) => [i.manifest, i.config, ...i.layers]).map((d) => [d.digest, d]));
  const child = spawn(ctr.program, args(ctr, "images", "import", "-"), { stdio: ["pipe", "ignore", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), IMPORT_TIMEOUT_MS);
  const ending = ended(child);
  // A broken pipe is ctr's end, and its own words say why.
  child.stdin!.on("error", () => undefined);
  let done = 0;
  try {
    let last = Promise.resolve(true);
    for (const chunk of layoutTar(index, [...blobs.values()], store)) {
      // ctr takes one chunk in while the next is read and hashed.
      if (!(await last)) break;
      last = written(child, chunk);
      done += chunk.length;
      progress?.(done);
    }
    await last;
    child.stdin!.end();
  } catch (error) {
    // An archive that breaks off is not accepted, and ctr itself then gives back what it had stored so far.
    child.stdin!.end();
    await ending;
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const { code, stderr } = await ending;
  if (code !== 0)
    throw new KubestickError(
      `containerd did not take the images: ${stderr.trim().split("\n").at(-1) || `exit code ${code}`}`,
      {
        hint: "df -h shows whether its disk is full; then run the same command again, it goes on where it stopped",
      },
    );
}

function written(child: ChildProcess, chunk: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const gone = () => resolve(false);
    child.once("close", gone);
    child.stdin!.write(chunk, (error) => {
      child.off("close", gone);
      resolve(!error);
    });
  });
}

function ended(child: ChildProcess): Promise<{ code: number; stderr: string }> {
  let stderr = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-4096);
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 127, stderr: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 1, stderr }));
  });
}

async function pin(ctr: Ctr, name: string): Promise<void> {
  const child = spawn(ctr.program, args(ctr, "images", "label", name, `${LABEL_PINNED}=pinned`), {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const { code, stderr } = await ended(child);
  if (code !== 0) throw new KubestickError(`containerd does not pin ${name}: ${stderr.trim()}`);
}

/** Gives an image another name in containerd, pinned too. Throws KubestickError. */
export async function tagImage(ctr: Ctr, name: string, other: string): Promise<void> {
  run(ctr.program, args(ctr, "images", "tag", name, other));
  await pin(ctr, other);
}
