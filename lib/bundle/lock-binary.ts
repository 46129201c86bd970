import type { HostBinaryKind } from "../constants/host-binaries.ts";
import { KubestickError } from "../errors.ts";
import type { Downloader } from "../net/download.ts";
import type { LockedBinary } from "./lock.ts";

const MAX_CHECKSUM_BYTES = 1024 * 1024;

/** Finds a host binary's files and their published digests. Throws KubestickError when a digest is not published. */
export async function lockBinary(
  downloader: Downloader,
  kind: HostBinaryKind,
  version: string,
  architectures: string[],
  mirror?: string,
): Promise<LockedBinary> {
  const files: LockedBinary["files"] = {};
  for (const arch of architectures) {
    const fill = (template: string) =>
      template
        .replaceAll("{version}", version)
        .replaceAll("{number}", version.replace(/^v/, ""))
        .replaceAll("{arch}", arch);
    const url = fill(kind.url);
    const from = mirrored(fill(kind.checksums), mirror);
    const { data } = await downloader.bytes({ url: from }, MAX_CHECKSUM_BYTES);
    const sha256 = findChecksum(data.toString("utf8"), url.slice(url.lastIndexOf("/") + 1));
    if (!sha256) throw new KubestickError(`${from} has no SHA-256 for ${url}`);
    files[arch] = { url, sha256 };
  }
  return { name: kind.name, version, files };
}

/** The digest of a file in a checksum file: `digest  name` lines (sha256sum), or the digest alone. */
export function findChecksum(text: string, file: string): string | undefined {
  const lines = text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+\*?/));
  const line =
    lines.find(([, name]) => name?.split("/").at(-1) === file) ??
    (lines.length === 1 && lines[0]!.length === 1 ? lines[0] : undefined);
  const digest = line?.[0]?.toLowerCase() ?? "";
  return /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

/** A download's address at a mirror of files: the mirror's URL before its host and path. Without a mirror it is its own. */
export function mirrored(url: string, mirror: string | undefined): string {
  return mirror === undefined ? url : url.replace("https://", `${mirror.replace(/\/+$/, "")}/`);
}
