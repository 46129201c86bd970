import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { DISK_HINTS, errno, KubestickError, reason } from "../errors.ts";
import { noteGarbage } from "./memory.ts";

/** One megabyte at a time keeps a USB stick busy and memory small. */
export const CHUNK_BYTES = 1024 * 1024;

/** A part of an open file, or all of it, read by position and never past its end. */
export class Region {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly #fd: number;

  private constructor(fd: number, path: string, offset: number, length: number) {
    this.#fd = fd;
    this.path = path;
    this.offset = offset;
    this.length = length;
  }

  /** Opens a plain file; what is a device, FIFO or directory is refused, and not waited for. Throws KubestickError. */
  static open(path: string): Region {
    try {
      const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      const stat = fs.fstatSync(fd);
      if (stat.isFile()) return new Region(fd, path, 0, stat.size);
      fs.closeSync(fd);
    } catch (error) {
      const code = errno(error) ?? "";
      throw new KubestickError(`cannot read ${path}: ${reason(error)}`, {
        hint: code === "ENOENT" ? "check the name; ls shows what is there" : DISK_HINTS[code],
        cause: error,
      });
    }
    throw new KubestickError(`${path} is not a file`, { hint: "name a plain file" });
  }

  /** A stretch of it, on the same open file: whoever closes one closes both. */
  part(offset: number, length: number): Region {
    return new Region(this.#fd, this.path, this.offset + offset, Math.max(0, Math.min(length, this.length - offset)));
  }

  /** The bytes at a position, fewer at the end. Throws KubestickError when the medium fails (a pulled stick). */
  read(position: number, length: number, into?: Buffer): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - position));
    if (!into) noteGarbage(wanted);
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
  *chunks(position = 0, length = this.length - position): Generator<Buffer> {
    const size = Math.min(CHUNK_BYTES, Math.max(1, length));
    noteGarbage(2 * size);
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
  sha256(position = 0, length = this.length - position): string {
    const hash = createHash("sha256");
    for (const chunk of this.chunks(position, length)) hash.update(chunk);
    return hash.digest("hex");
  }

  /** Closes the file. */
  close(): void {
    fs.closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The SHA-256 of a file's first bytes, in hexadecimal. Throws KubestickError when it cannot be read, or is shorter. */
export function sha256OfFile(path: string, length: number): string {
  using region = Region.open(path);
  return region.sha256(0, length);
}
