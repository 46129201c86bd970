import { Header } from "tar";
import { KubestickError, reason } from "../host/errors.ts";
import type { Region } from "./region.ts";

const BLOCK = 512;
/** Far more than any bundle has; an archive with more is made to exhaust memory. */
const MAX_ENTRIES = 100_000;
const MAX_PAX_BYTES = 64 * 1024;

/** A member of a tar: what it is, and where its bytes lie in the region. */
export interface TarEntry {
  name: string;
  type: "file" | "directory" | "symlink" | "other";
  linkTarget: string;
  offset: number;
  size: number;
  mode: number;
}

const damaged = (region: Region, what: string) =>
  new KubestickError(`${region.path} is damaged or no tar: ${what}`, { hint: "copy or create it again" });

/**
 * The members of a tar (POSIX.1-1988 ustar, pax headers tolerated where they change no name or size), found by reading
 * headers only. Bodies are skipped, so a large bundle is listed at once. Throws KubestickError for anything malformed
 * and for a tar without its end mark: it was cut short.
 */
export function indexTar(region: Region): TarEntry[] {
  const entries: TarEntry[] = [];
  const block = Buffer.alloc(BLOCK);
  for (let at = 0; ; ) {
    const bytes = region.read(at, BLOCK, block);
    if (bytes.length < BLOCK) throw damaged(region, "it ends without an end mark");
    if (bytes.every((b) => b === 0)) return entries;
    const header = decode(bytes, region);
    const size = header.size ?? 0;
    const next = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || next > region.length)
      throw damaged(region, `${JSON.stringify(header.path)} is longer than the file`);
    if (header.type === "ExtendedHeader" || header.type === "GlobalExtendedHeader") refusePax(region, at + BLOCK, size);
    else {
      entries.push({
        name: header.path ?? "",
        type: KINDS[header.type] ?? "other",
        linkTarget: header.linkpath ?? "",
        offset: at + BLOCK,
        size,
        mode: header.mode ?? 0,
      });
      if (entries.length > MAX_ENTRIES) throw damaged(region, `it has more than ${MAX_ENTRIES} members`);
    }
    at = next;
  }
}

const KINDS: Record<string, TarEntry["type"]> = {
  File: "file",
  OldFile: "file",
  Directory: "directory",
  SymbolicLink: "symlink",
};

function decode(bytes: Buffer, region: Region): Header {
  let header: Header;
  try {
    header = new Header(bytes, 0);
  } catch (error) {
    throw damaged(region, reason(error));
  }
  if (!header.cksumValid) throw damaged(region, "a header's checksum is wrong");
  return header;
}

/** Extended headers could give the next member another name or size than was checked. */
function refusePax(region: Region, offset: number, size: number): void {
  const text = size <= MAX_PAX_BYTES ? region.read(offset, size).toString("utf8") : " path=";
  if (/ (path|linkpath|size|GNU\.sparse[^=]*)=/.test(text))
    throw damaged(region, "it has pax headers that change a member's name or size");
}

/** A member's header for a tar that is the same each time it is written: no owner, no time. */
export function tarHeader(name: string, size: number, type: "File" | "Directory" = "File"): Buffer {
  const block = Buffer.alloc(BLOCK);
  new Header({
    path: name,
    mode: type === "Directory" ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: new Date(0),
    type,
  }).encode(block, 0);
  return block;
}

/** The zeros that follow a member of this size. */
export const tarPadding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

/** The end mark of a tar: two blocks of zeros. */
export const TAR_END = Buffer.alloc(2 * BLOCK);
