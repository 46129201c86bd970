import type { HostBinary } from "../binaries/host-binary.ts";
import { hostBinaryKind } from "../constants/host-binaries.ts";
import { KubestickError } from "../errors.ts";
import { downloadBlob } from "../oci/blob-download.ts";
import { digestOfHex } from "../oci/descriptor.ts";
import type { Image } from "../oci/image.ts";
import { parseObject } from "../oci/json.ts";
import { architectureOf } from "../oci/manifest.ts";
import type { Staging } from "../oci/staging.ts";
import { readJsonBlob } from "../oci/store.ts";
import { inParallel } from "../util/pool.ts";
import type { Contents } from "./contents.ts";
import { type BundleLock, lacking } from "./lock.ts";
import { AT_ONCE, type Sources } from "./sources.ts";
import { stageBlobs, type Wanted } from "./stage-blobs.ts";
import { stageManifest } from "./stage-manifest.ts";

/**
 * Stages everything that a lock names for some architectures: from local content where that has it, else from
 * registries and download sites. Throws KubestickError; what was staged stays for the next run.
 */
export async function stageLock(lock: BundleLock, architectures: string[], sources: Sources): Promise<Contents> {
  const holes = lacking(lock, architectures);
  if (holes.length > 0) throw incomplete(lock, holes);
  const images: Image[] = [];
  await inParallel(lock.images, AT_ONCE, async (image) => {
    for (const arch of architectures) images.push(await stageManifest(image, arch, sources));
  });
  const files = architectures.flatMap((arch) => lock.binaries.map((binary) => lockedFile(binary, arch)));
  await stageBlobs([...wantedOf(images, sources), ...files.map((file) => wantedFile(file, sources))], sources);
  for (const image of images) checkArchitecture(image, sources.staging);
  const binaries = files.map(({ binary: { name, version }, arch, kind, url, digest }): HostBinary => {
    const blob = { digest, size: sources.staging.size(digest)! };
    return { name, version, arch, title: url.slice(url.lastIndexOf("/") + 1), archive: kind.archive, blob };
  });
  return { kubernetesVersion: lock.kubernetesVersion, images, binaries, userYaml: [] };
}

function wantedOf(images: Image[], { registry, staging }: Sources): Wanted[] {
  return images.flatMap(({ name, config, layers }) =>
    [config, ...layers].map((blob) => ({
      ...blob,
      what: `a part of ${name}`,
      fetch: (progress) => registry.blob(name, blob, staging, progress),
    })),
  );
}

/** The file of a host binary that is pinned for an architecture. */
function lockedFile(binary: BundleLock["binaries"][number], arch: string) {
  const kind = hostBinaryKind(binary.name);
  if (!kind) throw new KubestickError(`kubestick knows no host binary ${binary.name}`);
  const { url, sha256 } = binary.files[arch]!;
  return { binary, arch, kind, url, digest: digestOfHex(sha256) };
}

function wantedFile({ url, digest, kind }: ReturnType<typeof lockedFile>, sources: Sources): Wanted {
  const { staging, registry, locate } = sources;
  const blob = { digest, limit: kind.maxBytes, what: url };
  return {
    digest,
    what: url,
    length: () => registry.downloader.length(locate(url)),
    fetch: (progress) => downloadBlob(registry.downloader, { url: locate(url) }, blob, staging, progress),
  };
}

/** What the lock lacks, all of it at once: whoever mends it should not learn of it piece by piece. */
function incomplete(lock: BundleLock, holes: ReturnType<typeof lacking>): KubestickError {
  const archs = [...new Set(holes.flatMap((hole) => hole.archs))].sort();
  const parts = archs.map((arch) => {
    const names = holes.filter((hole) => hole.archs.includes(arch)).map(({ what }) => what);
    return `${names.join(" and ")} for ${arch}`;
  });
  return new KubestickError(
    `the lock${lock.kubernetesVersion ? ` for Kubernetes ${lock.kubernetesVersion}` : ""} has no digest of ${parts.join(", ")}`,
    {
      hint: `where there is a network, look it up once and name the file with --lock: kubestick bundle lock --kubernetes-version ${lock.kubernetesVersion} --arch ${archs.join(",")} --lock FILE`,
    },
  );
}

/** A lock that pins another architecture's manifest would make a bundle that no node can use. */
function checkArchitecture({ name, arch, config }: Image, staging: Staging): void {
  const said = architectureOf(parseObject(readJsonBlob(staging, config), `the config of ${name}`));
  if (said === arch) return;
  const what = said === undefined ? "another system than Linux" : JSON.stringify(said);
  throw new KubestickError(`what the lock pins of ${name} for ${arch} is for ${what}`, {
    hint: "write the lock anew: kubestick bundle lock",
  });
}
