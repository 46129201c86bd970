import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubestickError } from "../../lib/errors.ts";
import { makeDirectory, ownDirectory, refusePlantedLinks } from "../../lib/host/directories.ts";
import { Files } from "../../lib/host/files.ts";
import { lockHost, lockTarget } from "../../lib/host/lock.ts";
import { NewFile, removeLeftovers, writeWhole } from "../../lib/host/new-file.ts";
import { processStart } from "../../lib/host/system-files.ts";

let work: string;
let umask: number;
beforeEach(() => {
  work = fs.mkdtempSync(join(tmpdir(), "kubestick-new-"));
  umask = process.umask();
});
afterEach(() => {
  process.umask(umask);
  fs.rmSync(work, { recursive: true, force: true });
});
const at = (name: string) => join(work, name);
const mode = (path: string) => (fs.statSync(path).mode & 0o7777).toString(8);
const BYTES = [Buffer.from("new")];
const root = process.geteuid?.() === 0;

describe("a file that is written", () => {
  test("never goes through what is there under its name, or could be guessed", () => {
    fs.writeFileSync(at("victim"), "old", { mode: 0o666 });
    fs.symlinkSync(at("victim"), at("out"));
    // The names that were used once.
    for (const name of [".out.partial", ".out.kubestick"]) fs.symlinkSync(at("victim"), at(name));
    expect(writeWhole(at("out"), 0o755, BYTES)).toBe(3);
    expect(fs.readFileSync(at("victim"), "utf8")).toBe("old");
    expect(fs.lstatSync(at("out")).isFile()).toBe(true);
    expect(mode(at("out"))).toBe("755");
    fs.chmodSync(at("out"), 0o666);
    if (root) fs.chownSync(at("out"), 1000, 1000);
    writeWhole(at("out"), 0o755, BYTES);
    expect([mode(at("out")), fs.statSync(at("out")).uid]).toEqual(["755", process.geteuid!()]);
  });

  test("has its mode whatever the umask is, and so have its directories", () => {
    for (const mask of [0, 0o022, 0o077, 0o777]) {
      process.umask(mask);
      const files = new Files(at(`u${mask}`));
      files.write("/a/b/public", "x", { mode: 0o644 });
      files.write("/a/b/secret", "x");
      files.mkdir("/c/private", 0o700);
      const names = ["a", "a/b", "a/b/public", "a/b/secret", "c", "c/private"];
      expect(names.map((name) => mode(at(`u${mask}/${name}`)))).toEqual(["755", "755", "644", "600", "755", "700"]);
    }
  });

  test("replaces no directory, device or FIFO, and names it in its own words", () => {
    fs.mkdirSync(at("dir"));
    const wrong = (target: string) => {
      try {
        writeWhole(target, 0o644, BYTES);
        return undefined;
      } catch (error) {
        return error instanceof KubestickError ? error.message : String(error);
      }
    };
    expect(wrong(at("dir"))).toBe(`cannot write ${at("dir")}: it is a directory`);
    expect(wrong("/dev/null")).toBe("cannot write /dev/null: it is no plain file");
    fs.symlinkSync("/dev/null", at("null"));
    expect(wrong(at("null"))).toBe(`cannot write ${at("null")}: it is no plain file`);
    expect(wrong(at("none/x"))).toBe(`cannot write ${at("none/x")}: ENOENT: no such file or directory`);
    expect(fs.readdirSync(work).sort()).toEqual(["dir", "null"]);
  });

  test("leaves nothing when what it is made of fails", () => {
    fs.writeFileSync(at("out"), "old");
    const failing = function* () {
      yield Buffer.from("half");
      throw new KubestickError("the stick was pulled");
    };
    expect(() => writeWhole(at("out"), 0o644, failing())).toThrow("the stick was pulled");
    expect(fs.readdirSync(work)).toEqual(["out"]);
    expect(fs.readFileSync(at("out"), "utf8")).toBe("old");
  });

  test("clears what runs that were killed left of it, and nothing of one that runs or of another file", () => {
    const own = `${process.pid}-${processStart("self")}`;
    const living = [
      `.out.${own}-0123456789ab.kubestick`,
      ".out2.4000000-1-0123456789ab.kubestick",
      ".out.notes.kubestick",
      ".out",
    ];
    const dead = [".out.4000000-1-0123456789ab.kubestick", `.out.${process.pid}-1-0123456789ab.kubestick`];
    for (const name of [...living, ...dead]) fs.writeFileSync(at(name), "x");
    fs.symlinkSync("/etc/passwd", at(".out.4000000-1-ffffffffffff.kubestick"));
    writeWhole(at("out"), 0o644, BYTES);
    expect(fs.readdirSync(work).sort()).toEqual([...living, "out"].sort());
    expect(fs.existsSync("/etc/passwd")).toBe(true);
    removeLeftovers(at("none/out"));
  });

  test("can have any name that a file can have", () => {
    for (const name of ["a".repeat(255), "ü".repeat(127), ".hidden", "-"]) {
      writeWhole(at(name), 0o644, BYTES);
      using _lock = lockTarget(at(name));
      expect(fs.readFileSync(at(name), "utf8")).toBe("new");
    }
  });

  test("is whole before it takes its place", () => {
    const file = new NewFile(at("out"));
    fs.writeSync(file.fd, "text");
    expect(fs.existsSync(at("out"))).toBe(false);
    file.seal(0o600);
    expect(fs.existsSync(at("out"))).toBe(false);
    file.place();
    file.discard();
    expect(fs.readFileSync(at("out"), "utf8")).toBe("text");
  });
});

describe("directories", () => {
  test("one's own is made, taken again, and narrowed", () => {
    ownDirectory(at("a/b/private"), 0o700);
    expect([mode(at("a")), mode(at("a/b/private"))]).toEqual(["755", "700"]);
    fs.chmodSync(at("a/b/private"), 0o755);
    ownDirectory(at("a/b/private"), 0o700);
    expect(mode(at("a/b/private"))).toBe("700");
    expect(makeDirectory(at("a/b/c/d"), 0o700)).toEqual([at("a/b/c"), at("a/b/c/d")]);
    expect(makeDirectory(at("a/b/c/d"))).toEqual([]);
  });

  test("one that is a link, a file, or open to all is not one's own", () => {
    fs.mkdirSync(at("real"));
    fs.symlinkSync(at("real"), at("link"));
    fs.writeFileSync(at("file"), "x");
    fs.mkdirSync(at("open"));
    fs.chmodSync(at("open"), 0o777);
    expect(() => ownDirectory(at("link"), 0o755)).toThrow(`${at("link")} cannot be used: it is a link`);
    expect(() => ownDirectory(at("file"), 0o755)).toThrow(KubestickError);
    expect(() => ownDirectory(at("open"), 0o755)).toThrow(`${at("open")} cannot be used: everybody can write to it`);
  });

  test.skipIf(!root)("in a shared directory nothing that another user made is used", () => {
    fs.chmodSync(work, 0o1777);
    fs.mkdirSync(at("theirs"));
    fs.symlinkSync("/etc", at("link"));
    fs.symlinkSync("/etc", at("mine"));
    fs.chownSync(at("theirs"), 1000, 1000);
    fs.lchownSync(at("link"), 1000, 1000);
    expect(() => ownDirectory(at("theirs"), 0o755)).toThrow(
      `${at("theirs")} cannot be used: it belongs to another user (1000)`,
    );
    expect(() => refusePlantedLinks(at("link/x"))).toThrow(
      `${at("link/x")} cannot be used: ${at("link")} is a link on its way, and it belongs to another user (1000)`,
    );
    refusePlantedLinks(at("mine/x"));
    refusePlantedLinks(at("theirs/x"));
    // In a directory of that user's own it is his to say where things go.
    fs.chmodSync(work, 0o755);
    fs.chownSync(work, 1000, 1000);
    refusePlantedLinks(at("link/x"));
    ownDirectory(at("theirs"), 0o755);
  });

  test("links that go round in circles end", () => {
    fs.symlinkSync(at("b"), at("a"));
    fs.symlinkSync(at("a"), at("b"));
    expect(() => refusePlantedLinks(at("a/x"))).toThrow("the links do not end");
  });
});

describe("a lock", () => {
  const HELD = /^another kubestick is changing .*: process \d+ \(kubestick.*\), since 20\d\d-\d\d-\d\dT/;

  test("is held by one, says by whom, and leaves nothing", () => {
    const first = lockTarget(at("out"));
    expect(() => lockTarget(at("out"))).toThrow(HELD);
    expect(() => lockTarget(at("out"))).toThrow(`process ${process.pid} (`);
    lockTarget(at("other"))[Symbol.dispose]();
    first[Symbol.dispose]();
    lockTarget(at("out"))[Symbol.dispose]();
    expect(fs.readdirSync(work)).toEqual([]);
  });

  test("of a host is one for each root, by whatever name, and there is none in a dry run", () => {
    fs.mkdirSync(at("root"));
    fs.symlinkSync(at("root"), at("alias"));
    const first = lockHost(new Files(at("root")));
    expect(() => lockHost(new Files(at("alias")))).toThrow(HELD);
    lockHost(new Files(at("other")))[Symbol.dispose]();
    lockHost(new Files(at("root"), { overlay: true }))[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(fs.readdirSync(at("root"))).toEqual([]);
    expect(fs.existsSync(at("other/var"))).toBe(false);
  });

  test("ends with the process that holds it, however that ends, and not with what it started", async () => {
    const script = `import { spawn } from "node:child_process";
      import { lockTarget } from "${join(import.meta.dir, "../../lib/host/lock.ts")}";
      lockTarget("${at("out")}");
      console.log(spawn("sleep", ["60"], { detached: true, stdio: "ignore" }).pid);`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const sleeper = Number(await new Promise((said) => child.stdout.once("data", said)));
    try {
      expect(() => lockTarget(at("out"))).toThrow(`process ${child.pid} (`);
      child.kill("SIGKILL");
      await new Promise((ended) => child.once("exit", ended));
      expect(fs.readdirSync(work)).toEqual([".out.lock"]);
      lockTarget(at("out"))[Symbol.dispose]();
      expect(fs.readdirSync(work)).toEqual([]);
    } finally {
      process.kill(sleeper);
    }
  });

  test("is not taken in a file that somebody planted, nor written through one", () => {
    fs.writeFileSync(at("victim"), "old");
    fs.symlinkSync(at("victim"), at(".a.lock"));
    fs.linkSync(at("victim"), at(".b.lock"));
    fs.mkdirSync(at(".c.lock"));
    expect(() => lockTarget(at("a"))).toThrow(
      `${at(".a.lock")} is in the place of kubestick's lock, and is not kubestick's: it is a link`,
    );
    expect(() => lockTarget(at("b"))).toThrow("it is no plain file");
    expect(() => lockTarget(at("c"))).toThrow(KubestickError);
    if (root) {
      fs.chmodSync(work, 0o1777);
      fs.writeFileSync(at(".d.lock"), "");
      fs.chownSync(at(".d.lock"), 1000, 1000);
      expect(() => lockTarget(at("d"))).toThrow("it belongs to another user (1000)");
    }
    expect(fs.readFileSync(at("victim"), "utf8")).toBe("old");
  });
});
