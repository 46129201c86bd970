import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emptyDirectory, removeFileBelow, removeTree } from "../../lib/host/remove.ts";

let work: string;
beforeEach(() => {
  work = fs.mkdtempSync(join(tmpdir(), "kubestick-remove-"));
});
afterEach(() => fs.rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

/** What is in a directory, no link followed. */
const linesOf = (directory: string): string[] =>
  fs.readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const found = fs.lstatSync(path);
    if (found.isSymbolicLink()) return [`${path} -> ${fs.readlinkSync(path)}`];
    return found.isDirectory() ? [path, ...linesOf(path)] : [`${path}: ${fs.readFileSync(path, "utf8")}`];
  });

describe("removing a tree", () => {
  test("takes files, directories, odd names, sockets and links, and never what a link leads to", () => {
    fs.mkdirSync(at("tree/a/b"), { recursive: true });
    fs.mkdirSync(at("kept"));
    fs.writeFileSync(at("kept/file"), "precious");
    fs.symlinkSync(at("kept"), at("tree/a/link"));
    fs.symlinkSync("../../kept/file", at("tree/a/b/link"));
    fs.symlinkSync(at("none"), at("tree/dangling"));
    for (const name of ["plain", " blank ", "new\nline", "ünï"]) fs.writeFileSync(at(`tree/a/b/${name}`), "x");
    // Names of files are bytes, and need not be UTF-8.
    fs.writeFileSync(Buffer.concat([Buffer.from(at("tree/a/")), Buffer.from([0xff, 0xfe, 0x61])]), "x");
    fs.mkdirSync(Buffer.concat([Buffer.from(at("tree/a/")), Buffer.from([0xc3, 0x28])]));
    expect(removeTree(at("tree"))).toEqual([]);
    expect(fs.readdirSync(work)).toEqual(["kept"]);
    expect(fs.readFileSync(at("kept/file"), "utf8")).toBe("precious");
  });

  test("of a link takes the link, of nothing nothing, of a file the file", () => {
    fs.mkdirSync(at("kept/more"), { recursive: true });
    fs.symlinkSync(at("kept"), at("link"));
    fs.writeFileSync(at("file"), "x");
    for (const name of ["link", "file", "none", "none/below", "kept/more/none"])
      expect(removeTree(at(name))).toEqual([]);
    expect(fs.readdirSync(work)).toEqual(["kept"]);
    expect(fs.readdirSync(at("kept"))).toEqual(["more"]);
  });

  test("goes as deep as it must, with two directories open", () => {
    const depth = 600;
    const name = "d".repeat(100);
    const before = fs.readdirSync("/proc/self/fd").length;
    let here = at("deep");
    fs.mkdirSync(here);
    // Far beyond what one path can name (PATH_MAX).
    let fd = fs.openSync(here, "r");
    for (let i = 0; i < depth; i++) {
      here = `/proc/self/fd/${fd}/${name}`;
      fs.mkdirSync(here);
      fs.writeFileSync(`/proc/self/fd/${fd}/f`, "x");
      const next = fs.openSync(here, "r");
      fs.closeSync(fd);
      fd = next;
    }
    fs.closeSync(fd);
    expect(removeTree(at("deep"))).toEqual([]);
    expect(fs.existsSync(at("deep"))).toBe(false);
    expect(fs.readdirSync("/proc/self/fd").length).toBe(before);
  });

  test("emptying keeps the directory, and does not follow a link in its place", () => {
    fs.mkdirSync(at("dir/sub"), { recursive: true });
    expect(emptyDirectory(at("dir"))).toEqual([]);
    expect(fs.readdirSync(at("dir"))).toEqual([]);
    fs.mkdirSync(at("kept"));
    fs.writeFileSync(at("kept/file"), "x");
    fs.symlinkSync(at("kept"), at("link"));
    expect(emptyDirectory(at("link"))).toEqual([{ path: at("link"), why: "it is a link, or no directory" }]);
    expect(emptyDirectory(at("none"))).toEqual([]);
    expect(fs.readdirSync(at("kept"))).toEqual(["file"]);
  });

  test("a random tree goes, and a random one beside it that is full of links to it and from it stays", () => {
    let seed = 20261125;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * n);
    };
    for (let round = 0; round < 40; round++) {
      const directories: string[] = [at("gone"), at("kept")];
      for (const dir of directories) fs.mkdirSync(dir);
      for (let i = 0; i < 60; i++) {
        const path = `${directories[random(directories.length)]}/${i}`;
        const other = directories[random(directories.length)]!;
        const kind = random(4);
        if (kind === 0) {
          fs.mkdirSync(path);
          directories.push(path);
        } else if (kind === 1) fs.symlinkSync(other, path);
        else if (kind === 2) fs.symlinkSync("..", path);
        else fs.writeFileSync(path, String(i));
      }
      const kept = () => linesOf(at("kept"));
      const before = kept();
      expect(removeTree(at("gone"))).toEqual([]);
      expect(fs.readdirSync(work)).toEqual(["kept"]);
      expect(kept()).toEqual(before);
      expect(removeTree(at("kept"))).toEqual([]);
    }
  });
});

test("a file below a directory goes only by a way without links, and a directory never", () => {
  fs.mkdirSync(at("root/a/b"), { recursive: true });
  fs.mkdirSync(at("kept"));
  for (const name of ["root/a/b/file", "root/a/file", "kept/file"]) fs.writeFileSync(at(name), "x");
  fs.symlinkSync(at("kept"), at("root/a/link"));
  fs.symlinkSync(at("kept/file"), at("root/last"));
  const remove = (name: string) => removeFileBelow(at("root"), at(`root/${name}`));
  expect(remove("a/b/file")).toEqual([]);
  expect(remove("none/file")).toEqual([]);
  expect(remove("a/none")).toEqual([]);
  expect(remove("a/link/file")).toEqual([{ path: at("root/a/link/file"), why: "a link or a file is on its way" }]);
  expect(remove("a/file/x")).toEqual([{ path: at("root/a/file/x"), why: "a link or a file is on its way" }]);
  expect(remove("a/b")).toEqual([{ path: at("root/a/b"), why: "it is a directory" }]);
  expect(remove("last")).toEqual([]);
  expect(fs.readFileSync(at("kept/file"), "utf8")).toBe("x");
  expect(fs.readdirSync(at("root"))).toEqual(["a"]);
});
