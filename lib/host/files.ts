import * as fs from "node:fs";
import { basename, dirname, isAbsolute, join, normalize } from "node:path";
import { cannot, errno, KubestickError, reason } from "../errors.ts";
import { makeDirectory } from "./directories.ts";
import { replaceByLink, writeWhole } from "./new-file.ts";
import { keepOriginal, type Original, originalOf } from "./original.ts";
import { readPlainFile } from "./plain-file.ts";

/** How to write a file. `secret` contents are never shown, whatever their mode. */
export interface WriteOptions {
  mode?: number;
  secret?: boolean;
}

/** A file that was written, for dry runs and reports. */
export interface WrittenFile {
  path: string;
  mode: number;
  secret: boolean;
  data: Buffer;
}

const MAX_SYMLINKS = 40;

/**
 * The host's files below a root. With a root other than `/`, symbolic links are resolved inside it, so that nothing
 * outside is read or written (`--rootfs`). An overlay keeps writes in memory instead: a dry run reads back what it
 * "wrote" and the host stays untouched.
 */
export class Files {
  readonly root: string;
  readonly written: WrittenFile[] = [];
  readonly #overlay: Map<string, WrittenFile | null> | undefined;

  constructor(root = "/", options: { overlay?: boolean } = {}) {
    this.root = normalize(root);
    this.#overlay = options.overlay ? new Map() : undefined;
  }

  /** Whether what is written stays in memory. */
  get keepsWrites(): boolean {
    return this.#overlay !== undefined;
  }

  /** Where an absolute path of the target host lies on this one. Throws when symbolic links loop. */
  real(path: string): string {
    if (!isAbsolute(path)) throw new KubestickError(`not an absolute path: ${path}`);
    if (this.root === "/") return normalize(path);
    let rest = normalize(path).split("/").filter(Boolean);
    let at = "";
    for (let links = 0; rest.length > 0; ) {
      const name = rest.shift()!;
      if (name === "..") {
        at = at === "" ? "" : dirname(at) === "/" ? "" : dirname(at);
        continue;
      }
      const next = `${at}/${name}`;
      const target = readLink(join(this.root, next));
      if (target === undefined) at = next;
      else if (++links > MAX_SYMLINKS)
        throw new KubestickError(`too many symbolic links at ${next} below ${this.root}`);
      else {
        rest = [...target.split("/").filter((p) => p !== "" && p !== "."), ...rest];
        if (isAbsolute(target)) at = "";
      }
    }
    return join(this.root, at);
  }

  /** A plain file's bytes, or undefined where there is none. Throws KubestickError when it cannot be read; see readPlainFile. */
  read(path: string): Buffer | undefined {
    const over = this.#overlay?.get(normalize(path));
    if (over !== undefined) return over?.data;
    try {
      return readPlainFile(this.real(path));
    } catch (error) {
      if (errno(error) === "ENOENT" || errno(error) === "ENOTDIR") return undefined;
      throw new KubestickError(`cannot read ${path}: ${reason(error)}`, { cause: error });
    }
  }

  /** A file's text, or undefined where there is none. */
  readText(path: string): string | undefined {
    return this.read(path)?.toString("utf8");
  }

  /** Whether a path is there. */
  exists(path: string): boolean {
    const over = this.#overlay?.get(normalize(path));
    if (over !== undefined) return over !== null;
    return fs.existsSync(this.real(path));
  }

  /** The names in a directory, sorted; empty where there is no such directory. */
  list(path: string): string[] {
    const names = new Set<string>();
    try {
      for (const name of fs.readdirSync(this.real(path))) names.add(name);
    } catch (error) {
      if (errno(error) !== "ENOENT" && errno(error) !== "ENOTDIR") {
        throw new KubestickError(`cannot list ${path}: ${reason(error)}`, { cause: error });
      }
    }
    for (const [at, file] of this.#overlay ?? []) {
      if (dirname(at) !== normalize(path)) continue;
      if (file) names.add(at.slice(dirname(at).length + 1));
      else names.delete(at.slice(dirname(at).length + 1));
    }
    return [...names].sort();
  }

  /**
   * Writes a file whole or not at all (see NewFile). Parent directories are made (0755). Mode 0600 unless told otherwise.
   * Throws KubestickError with the reason (a full disk, a read-only file system).
   */
  write(path: string, data: string | Buffer, options: WriteOptions = {}): void {
    const mode = options.mode ?? 0o600;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const record = { path: normalize(path), mode, secret: options.secret ?? false, data: bytes };
    this.written.push(record);
    if (this.#overlay) {
      this.#overlay.set(record.path, record);
      return;
    }
    try {
      const target = this.real(path);
      makeDirectory(dirname(target));
      writeWhole(target, mode, [bytes], undefined, path);
    } catch (error) {
      throw cannot(`write ${path}`, error);
    }
  }

  /** Makes a symbolic link, or points one elsewhere, in one step. Throws KubestickError. */
  link(path: string, target: string): void {
    if (this.#overlay) return;
    try {
      replaceByLink(join(this.real(dirname(path)), basename(path)), (name) => fs.symlinkSync(target, name));
    } catch (error) {
      throw cannot(`make the link ${path}`, error);
    }
  }

  /** Gives a file a second name, in place of what had that; the next write of the first leaves it as it is. Nothing happens where there is none. */
  keepAs(path: string, second: string): void {
    if (this.#overlay || !this.exists(path)) return;
    const [from, to] = [this.real(path), this.real(second)];
    try {
      replaceByLink(to, (name) => fs.linkSync(from, name));
    } catch {
      // A file system without links.
      this.write(second, this.read(path)!, { mode: fs.statSync(from).mode & 0o777 });
    }
  }

  /**
   * Keeps the file or link that is at a path below a directory as well, under its whole path and as it is (see
   * keepOriginal), and gives what it is; undefined where there is neither. Throws KubestickError.
   */
  preserve(path: string, directory: string): Original | undefined {
    try {
      const at = join(this.real(dirname(path)), basename(path));
      return this.#overlay ? originalOf(at) : keepOriginal(at, { directory: this.real(directory), name: path });
    } catch (error) {
      throw cannot(`keep what is at ${path}`, error);
    }
  }

  /** Makes a directory with its parents, with this mode where it is new. */
  mkdir(path: string, mode = 0o755): void {
    if (this.#overlay) return;
    try {
      makeDirectory(this.real(path), mode);
    } catch (error) {
      throw cannot(`make the directory ${path}`, error);
    }
  }

  /** Removes a directory where nothing is in it. */
  removeEmptyDirectory(path: string): void {
    if (this.#overlay) return;
    try {
      fs.rmdirSync(this.real(path));
    } catch {
      // It is not there, is a mount point, or has something in it that is somebody else's.
    }
  }

  /** Removes a file; nothing happens where there is none. */
  remove(path: string): void {
    if (this.#overlay) this.#overlay.set(normalize(path), null);
    else fs.rmSync(this.real(path), { force: true });
  }
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}
