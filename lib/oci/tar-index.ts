import type { Region } from "../host/region.ts";
import { BLOCK, TarHeaders, type TarMember, tarError } from "./tar-header.ts";

/** A member of a tar, and where its bytes lie in the region. */
export interface TarEntry extends TarMember {
  offset: number;
}

/**
 * The members of a tar, found by reading headers only. Bodies are skipped, so a large bundle is listed at once. Throws
 * KubestickError for anything malformed (see TarHeaders) and for a tar without its end mark: it was cut short.
 */
export function indexTar(region: Region): TarEntry[] {
  const entries: TarEntry[] = [];
  const headers = new TarHeaders(region.path);
  const block = Buffer.alloc(BLOCK);
  for (let at = 0; ; ) {
    const bytes = region.read(at, BLOCK, block);
    if (bytes.length < BLOCK) throw tarError(region.path, "it ends without an end mark");
    const found = headers.read(bytes);
    if (!found) return entries;
    const offset = at + BLOCK;
    at = offset + Math.ceil(found.size / BLOCK) * BLOCK;
    if (at > region.length) {
      const name = "name" in found ? JSON.stringify(found.name) : "an extended header";
      throw tarError(region.path, `${name} is longer than the file`);
    }
    if ("extension" in found) headers.extend(found.extension, Buffer.from(region.read(offset, found.size)));
    else entries.push({ ...found, offset });
  }
}
