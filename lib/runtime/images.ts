import { ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, LABEL_PINNED } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import { feed } from "../host/feed.ts";
import { run, tryRunAside } from "../host/process.ts";
import { uniqueBlobs } from "../oci/descriptor.ts";
import { type Image, indexEntry, indexText } from "../oci/image.ts";
import { layoutTar } from "../oci/layout-tar.ts";
import { nameByDigest } from "../oci/reference.ts";
import type { BlobStore } from "../oci/store.ts";
import { inParallel } from "../util/pool.ts";

const NAMESPACE = "k8s.io";
const LABELS_AT_ONCE = 4;
/** A slow card takes its time. */
const IMPORT_TIMEOUT_MS = 30 * 60_000;
const LABEL_TIMEOUT_MS = 120_000;

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

/** An image as containerd has it. */
export interface Imported {
  digest: string;
  /** Whether the kubelet leaves it alone. */
  pinned: boolean;
}

/** The images that containerd has, by their names. Throws KubestickError when it does not answer. */
export function importedImages(ctr: Ctr): Map<string, Imported> {
  const lines = run(ctr.program, args(ctr, "images", "list"))
    .trim()
    .split("\n")
    .slice(1);
  return new Map(
    lines.map((line) => {
      const [name = "", , digest = ""] = line.split(/\s+/);
      return [name, { digest, pinned: line.includes(`${LABEL_PINNED}=pinned`) }];
    }),
  );
}

/**
 * The names that an image gets in containerd: its own, and those by the digests of its manifest and of the indexes that it
 * was published in, as containerd's CRI makes them when it pulls. A pod that asks for a tag and a digest is looked up by the
 * digest alone.
 */
export function containerdNames({ name, manifest, indexes = [] }: Image): string[] {
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
  images: Image[],
  ctr: Ctr,
  progress?: (bytes: number) => void,
): Promise<number> {
  const nameless = images.find(({ name }) => name === "");
  if (nameless)
    throw new KubestickError(
      `${store.path} has an image ${nameless.rawName === undefined ? "without a name" : `called ${JSON.stringify(nameless.rawName.slice(0, 300))}, which is no name`} (${nameless.manifest.digest})`,
      { hint: `make a bundle of it: kubestick bundle create FILE.tar --from ${store.path}` },
    );
  const have = importedImages(ctr);
  const wanted = images.filter((image) =>
    containerdNames(image).some((name) => have.get(name)?.digest !== image.manifest.digest),
  );
  if (wanted.length > 0) await stream(store, wanted, ctr, progress);
  // Those, too, of an earlier run that was killed before this. One pinned name keeps the image with all of its names.
  const unpinned = images.filter((image) => wanted.includes(image) || !have.get(image.name)?.pinned);
  await inParallel(unpinned, LABELS_AT_ONCE, ({ name }) => pin(ctr, name));
  return wanted.length;
}

async function stream(store: BlobStore, images: Image[], ctr: Ctr, progress?: (bytes: number) => void): Promise<void> {
  const manifests = images.flatMap((image) =>
    containerdNames(image).map((name) => ({
      ...indexEntry(image),
      annotations: { [ANNOTATION_CONTAINERD_NAME]: name, [ANNOTATION_REF_NAME]: name },
    })),
  );
  const blobs = uniqueBlobs(images.flatMap((image) => [image.manifest, image.config, ...image.layers]));
  const archive = layoutTar(indexText(manifests), blobs, store);
  // An archive that breaks off is not accepted, and ctr itself then gives back what it had stored so far.
  const { status, stderr } = await feed(ctr.program, args(ctr, "images", "import", "-"), archive, {
    timeoutMs: IMPORT_TIMEOUT_MS,
    progress,
  });
  if (status !== 0)
    throw new KubestickError(
      `containerd did not take the images: ${stderr.trim().split("\n").at(-1) || `exit code ${status}`}`,
      {
        hint: "df -h shows whether its disk is full; then run the same command again, it goes on where it stopped",
      },
    );
}

async function pin(ctr: Ctr, name: string): Promise<void> {
  const words = args(ctr, "images", "label", name, `${LABEL_PINNED}=pinned`);
  const { status, stderr } = await tryRunAside(ctr.program, words, LABEL_TIMEOUT_MS);
  if (status !== 0) throw new KubestickError(`containerd does not pin ${name}: ${stderr.trim()}`);
}

/** Gives an image another name in containerd, pinned too. Throws KubestickError. */
export async function tagImage(ctr: Ctr, name: string, other: string): Promise<void> {
  run(ctr.program, args(ctr, "images", "tag", name, other));
  await pin(ctr, other);
}
