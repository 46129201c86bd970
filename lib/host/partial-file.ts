import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { writeAll } from "./new-file.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = fs.constants;
const CHUNK_BYTES = 1024 * 1024;

/**
 * A file that grows until it is whole, over several runs perhaps, and is hashed as it grows. It lies in a directory that is
 * this user's alone. Its methods throw the system's errors.
 */
export class PartialFile {
  readonly #path: string;
  readonly #fd: number;
  #hash = createHash("sha256");
  #size = 0;

  private constructor(path: string) {
    this.#path = path;
    this.#fd = fs.openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  }

  /** Begins with nothing, whatever an earlier run left. */
  static begin(path: string): PartialFile {
    const file = new PartialFile(path);
    file.restart();
    return file;
  }

  /** Goes on with what an earlier run left, unless that has more than `limit` bytes. */
  static resume(path: string, limit = Number.POSITIVE_INFINITY): PartialFile {
    const file = new PartialFile(path);
    if (fs.fstatSync(file.#fd).size > limit) file.restart();
    else file.#readOn();
    return file;
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes at its end. */
  write(chunk: Buffer): void {
    writeAll(this.#fd, chunk);
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  /** The SHA-256 of what is there, in hexadecimal. */
  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Throws away what is there. */
  restart(): void {
    fs.ftruncateSync(this.#fd, 0);
    this.#hash = createHash("sha256");
    this.#size = 0;
  }

  /** Puts it in its place. */
  place(target: string): void {
    fs.renameSync(this.#path, target);
  }

  /** Removes it. */
  discard(): void {
    fs.rmSync(this.#path, { force: true });
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#fd);
  }

  #readOn(): void {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let n = fs.readSync(this.#fd, buffer); n > 0; n = fs.readSync(this.#fd, buffer)) {
      this.#hash.update(buffer.subarray(0, n));
      this.#size += n;
    }
  }
}
