import { Header } from "tar";
import { KubestickError, reason } from "../errors.ts";
import { LIMITS } from "./limits.ts";

/** A tar's unit: headers and the rooms of bodies are multiples of it. */
export const BLOCK = 512;
const MAX_EXTENSION_BYTES = 64 * 1024;

/** What a tar's header says of its member. */
export interface TarMember {
  name: string;
  type: "file" | "directory" | "symlink" | "other";
  linkTarget: string;
  /** Bytes of the body that follows. */
  size: number;
}

/** An error about a tar of that path. */
export function tarError(path: string, what: string): KubestickError {
  return new KubestickError(`${path} is damaged or no tar: ${what}`, {
    code: "damaged",
    hint: "copy or create it again",
  });
}

const KINDS: Record<string, TarMember["type"]> = {
  File: "file",
  OldFile: "file",
  ContiguousFile: "file",
  Directory: "directory",
  SymbolicLink: "symlink",
};
const WITHOUT_BODY = ["Directory", "SymbolicLink", "Link", "CharacterDevice", "BlockDevice", "FIFO"];
/** Members that say something of the next one, or of all. */
const EXTENSIONS = ["ExtendedHeader", "GlobalExtendedHeader", "NextFileHasLongPath", "NextFileHasLongLinkpath"];

/** Whether these bytes begin with a member's header. */
export function isTarHeader(head: Buffer): boolean {
  try {
    return head.length >= BLOCK && new Header(head.subarray(0, BLOCK), 0).cksumValid;
  } catch {
    return false;
  }
}

/**
 * Reads a tar's headers one after the other (POSIX.1-1988 ustar; pax extended headers and GNU's long names, as archives
 * of Go, Python and GNU tar have them). Every number that it gives is checked, so that a reader which follows them
 * cannot be led astray. Throws KubestickError for what is malformed, sparse or above LIMITS.
 */
export class TarHeaders {
  readonly #path: string;
  #members = 0;
  #next: { name?: string; linkTarget?: string; size?: number } = {};

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads a block of BLOCK bytes: a member; `{ extension, size }` for an extended header whose body of that many bytes is to
   * be given to `extend`; undefined for the end mark.
   */
  read(block: Buffer): TarMember | { extension: string; size: number } | undefined {
    if (block.every((byte) => byte === 0)) return undefined;
    const header = this.#decode(block);
    if (++this.#members > LIMITS.members) throw this.#bad(`it has more than ${LIMITS.members} members`);
    const { type } = header;
    const isExtension = EXTENSIONS.includes(type);
    const size = WITHOUT_BODY.includes(type) ? 0 : isExtension ? header.size : (this.#next.size ?? header.size);
    if (size === undefined || !Number.isSafeInteger(size))
      throw this.#bad(`${JSON.stringify(header.path)} has a length that is no number`);
    if (isExtension) {
      if (size > MAX_EXTENSION_BYTES)
        throw this.#bad(`it has an extended header of more than ${MAX_EXTENSION_BYTES} bytes`);
      return { extension: type, size };
    }
    if (!(type in KINDS) && !WITHOUT_BODY.includes(type))
      throw this.#bad("it has a member of a kind that is in no standard (a sparse file?)");
    const { name = header.path ?? "", linkTarget = header.linkpath ?? "" } = this.#next;
    this.#next = {};
    return { name, type: KINDS[type] ?? "other", linkTarget, size };
  }

  /** Takes the body of an extended header. */
  extend(extension: string, body: Buffer): void {
    if (extension === "NextFileHasLongPath") this.#next.name = this.#text(body);
    else if (extension === "NextFileHasLongLinkpath") this.#next.linkTarget = this.#text(body);
    else {
      const records = this.#records(body);
      if ([...records.keys()].some((key) => key.startsWith("GNU.sparse."))) throw this.#bad("it has sparse files");
      const [name, linkTarget, size] = ["path", "linkpath", "size"].map((key) => records.get(key));
      if (extension === "GlobalExtendedHeader") {
        if (name !== undefined || linkTarget !== undefined || size !== undefined)
          throw this.#bad("it has a pax header that gives all members one name or length");
        return;
      }
      if (size !== undefined && !/^\d{1,16}$/.test(size))
        throw this.#bad("a pax header has a length that is no number");
      if (name !== undefined) this.#next.name = this.#text(Buffer.from(name));
      if (linkTarget !== undefined) this.#next.linkTarget = this.#text(Buffer.from(linkTarget));
      if (size !== undefined) this.#next.size = Number(size);
    }
  }

  #decode(block: Buffer): Header {
    let header: Header;
    try {
      header = new Header(block, 0);
    } catch (error) {
      throw this.#bad(reason(error));
    }
    if (!header.cksumValid) throw this.#bad("a header's checksum is wrong");
    return header;
  }

  /** The records of a pax header: `LENGTH KEY=VALUE\n`, each with its own length (POSIX.1-2001 pax). */
  #records(body: Buffer): Map<string, string> {
    const records = new Map<string, string>();
    for (let at = 0; at < body.length && body[at] !== 0; ) {
      const space = body.indexOf(0x20, at);
      const length = space < 0 ? Number.NaN : Number(body.toString("latin1", at, space));
      const equals = body.indexOf(0x3d, space);
      const end = at + length;
      if (!Number.isSafeInteger(length) || end > body.length || equals < 0 || equals >= end || body[end - 1] !== 0x0a)
        throw this.#bad("a pax header is malformed");
      records.set(body.toString("utf8", space + 1, equals), body.toString("utf8", equals + 1, end - 1));
      at = end;
    }
    return records;
  }

  #text(bytes: Buffer): string {
    const text = bytes.toString("utf8").replace(/\0+$/, "");
    if (text.includes("\0") || bytes.length > LIMITS.nameBytes)
      throw this.#bad("a member's name is malformed or too long");
    return text;
  }

  #bad(what: string): KubestickError {
    return tarError(this.#path, what);
  }
}
