import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { errno, KubestickError, reason } from "../errors.ts";
import { passing } from "../host/memory.ts";
import { compression } from "./compression.ts";
import { decodeTrailer, elfArchitecture, TRAILER_BYTES } from "./trailer.ts";

/** One megabyte at a time keeps a USB stick busy and memory small. */
export const CHUNK_BYTES = 1024 * 1024;

/** A part of an open file, read by position and never past its end. */
export class Region {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly #fd: number;

  constructor(fd: number, path: string, offset: number, length: number) {
    this.#fd = fd;
    this.path = path;
    this.offset = offset;
    this.length = length;
  }

  /** The bytes at a position, fewer at the end. Throws KubestickError when the medium fails (a pulled stick). */
  read(position: number, length: number, into?: Buffer): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - position));
    if (!into) passing(wanted);
    const buffer = into ?? Buffer.allocUnsafe(wanted);
    let got = 0;
    try {
      while (got < wanted) {
        const n = fs.readSync(this.#fd, buffer, got, wanted - got, this.offset + position + got);
        if (n === 0) break;
        got += n;
      }
    } catch (error) {
      throw new KubestickError(`cannot read ${this.path}: ${reason(error)}`, {
        hint: "is the stick or disk still connected? connect it and run the same command again",
        cause: error,
      });
    }
    return buffer.subarray(0, got);
  }

  /** The bytes of a stretch, a chunk at a time. Each chunk is valid until the next but one is asked for. */
  *chunks(position: number, length: number): Generator<Buffer> {
    const size = Math.min(CHUNK_BYTES, Math.max(1, length));
    passing(2 * size);
    let [buffer, other] = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(length > size ? size : 0)];
    for (let at = 0; at < length; [buffer, other] = [other, buffer]) {
      const chunk = this.read(position + at, Math.min(buffer.length, length - at), buffer);
      if (chunk.length === 0)
        throw new KubestickError(`${this.path} ends too early`, {
          code: "damaged",
          hint: "it was cut short; copy or create it again",
        });
      yield chunk;
      at += chunk.length;
    }
  }

  /** The SHA-256 of a stretch, in hexadecimal. */
  sha256(position: number, length: number): string {
    const hash = createHash("sha256");
    for (const chunk of this.chunks(position, length)) hash.update(chunk);
    return hash.digest("hex");
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** A file that holds a bundle: the bundle's bytes, and what the file is besides. */
export interface BundleFile {
  region: Region;
  /** The length of the executable that the bundle was attached to; 0 for a bundle alone. */
  executableBytes: number;
}

/**
 * Opens a bundle: a tar alone, or one attached to an executable. Throws KubestickError when the file cannot be read, is
 * compressed, or is an executable that carries none.
 */
export function openBundleFile(path: string): BundleFile {
  const { fd, size } = openFile(path);
  try {
    const extent = decodeTrailer(readAt(fd, size - TRAILER_BYTES, TRAILER_BYTES), size);
    if (extent) return { region: new Region(fd, path, extent.offset, extent.length), executableBytes: extent.offset };
    const head = readAt(fd, 0, 6);
    const packed = compression(head);
    if (packed)
      throw new KubestickError(`${path} is compressed with ${packed.name}`, {
        hint: `unpack it first: ${packed.unpack} ${path}`,
      });
    if (head.toString("latin1", 0, 4) === "\x7fELF") {
      throw new KubestickError(`${path} carries no bundle`, {
        hint: `attach one: kubestick bundle attach BUNDLE --executable ${path}; or name a bundle with --bundle FILE`,
      });
    }
    return { region: new Region(fd, path, 0, size), executableBytes: 0 };
  } catch (error) {
    fs.closeSync(fd);
    throw damaged(path, error);
  }
}

/** A file that cannot be read, or whose trailer is wrong, as an error for the person at the console. */
function damaged(path: string, error: unknown): unknown {
  if (error instanceof RangeError)
    return new KubestickError(`${path} is damaged: ${error.message}`, {
      code: "damaged",
      hint: "download or copy it again",
    });
  if (error instanceof KubestickError) return error;
  return new KubestickError(`cannot read ${path}: ${reason(error)}`, { cause: error });
}

/** What a file is: its architecture (undefined when it is no Linux program of ours), and any bundle at its end. */
export function inspectExecutable(path: string): {
  arch: string | undefined;
  executableBytes: number;
  hasBundle: boolean;
} {
  const { fd, size } = openFile(path);
  try {
    const extent = decodeTrailer(readAt(fd, size - TRAILER_BYTES, TRAILER_BYTES), size);
    return {
      arch: elfArchitecture(readAt(fd, 0, 20)),
      executableBytes: extent?.offset ?? size,
      hasBundle: extent !== undefined,
    };
  } catch (error) {
    throw damaged(path, error);
  } finally {
    fs.closeSync(fd);
  }
}

function openFile(path: string): { fd: number; size: number } {
  try {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const stat = fs.fstatSync(fd);
    if (stat.isFile()) return { fd, size: stat.size };
    fs.closeSync(fd);
  } catch (error) {
    throw new KubestickError(`cannot read ${path}: ${reason(error)}`, {
      hint: errno(error) === "ENOENT" ? "check the name; ls shows what is there" : undefined,
      cause: error,
    });
  }
  throw new KubestickError(`${path} is not a file`, { hint: "name a bundle's file" });
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return position < 0 ? buffer.subarray(0, 0) : buffer.subarray(0, fs.readSync(fd, buffer, 0, length, position));
}
