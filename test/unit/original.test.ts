import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOriginal, keepOriginal, type Original, originalOf, putBack, whyDamaged } from "../../lib/host/original.ts";

let work: string;
beforeEach(() => {
  work = fs.mkdtempSync(join(tmpdir(), "kubestick-original-"));
  fs.mkdirSync(at("etc/sub"), { recursive: true });
});
afterEach(() => fs.rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);
const keep = (name: string) => keepOriginal(at(name), { directory: at("kept"), name: `/${name}` });
/** Another file system than the one of `work`. */
const ELSEWHERE = "/dev/shm";
const hasElsewhere = fs.existsSync(ELSEWHERE) && fs.statSync(ELSEWHERE).dev !== fs.statSync(tmpdir()).dev;

describe("keeping what is at a path", () => {
  test("a file is kept with its bytes, mode, owner and time, whatever then takes its place", () => {
    fs.writeFileSync(at("etc/file"), "theirs", { mode: 0o640 });
    fs.chmodSync(at("etc/file"), 0o4640);
    fs.utimesSync(at("etc/file"), 1_000_000, 1_000_000);
    if (process.getuid!() === 0) fs.chownSync(at("etc/file"), 12, 34);
    const before = fs.statSync(at("etc/file"));
    const original = keep("etc/file")!;
    expect(original).toEqual({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    fs.writeFileSync(at("etc/new"), "ours");
    fs.renameSync(at("etc/new"), at("etc/file"));
    expect(isOriginal(at("etc/file"), original)).toBe(false);
    expect(fs.readFileSync(at("kept/etc/file"), "utf8")).toBe("theirs");
    const { mode, uid, gid, mtimeMs } = fs.statSync(at("kept/etc/file"));
    expect({ mode, uid, gid, mtimeMs }).toEqual({
      mode: before.mode,
      uid: before.uid,
      gid: before.gid,
      mtimeMs: 1_000_000_000,
    });
    expect(fs.statSync(at("kept")).mode & 0o777).toBe(0o700);
  });

  test.skipIf(!hasElsewhere)("on another file system too, and is put back from there", () => {
    const directory = fs.mkdtempSync(join(ELSEWHERE, "kubestick-original-"));
    try {
      fs.writeFileSync(at("etc/file"), Buffer.alloc(3_000_000, 7));
      fs.chmodSync(at("etc/file"), 0o4751);
      fs.utimesSync(at("etc/file"), 1_000_000, 1_000_000);
      const original = keepOriginal(at("etc/file"), { directory, name: "/etc/file" })!;
      expect(fs.statSync(join(directory, "etc/file")).ino).not.toBe(fs.statSync(at("etc/file")).ino);
      fs.rmSync(at("etc/file"));
      expect(putBack(work, at("etc/file"), join(directory, "etc/file"))).toEqual([]);
      expect(isOriginal(at("etc/file"), original)).toBe(true);
      const { mode, mtimeMs } = fs.statSync(at("etc/file"));
      expect([mode & 0o7777, mtimeMs]).toEqual([0o4751, 1_000_000_000]);
      expect(fs.readdirSync(at("etc"))).toEqual(["file", "sub"]);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  test("a link is kept itself, and not what it leads to; of a directory and of nothing nothing is kept", () => {
    fs.writeFileSync(at("secret"), "secret");
    fs.symlinkSync("../secret", at("etc/link"));
    fs.symlinkSync("nowhere", at("etc/dangling"));
    expect(keep("etc/link")).toEqual({ link: "../secret" });
    expect(keep("etc/dangling")).toEqual({ link: "nowhere" });
    expect(fs.readlinkSync(at("kept/etc/link"))).toBe("../secret");
    expect([keep("etc/sub"), keep("etc/none")]).toEqual([undefined, undefined]);
    expect(fs.existsSync(at("kept/etc/sub"))).toBe(false);
  });

  test("keeping again takes the place of what was kept", () => {
    fs.writeFileSync(at("etc/file"), "one");
    keep("etc/file");
    fs.rmSync(at("etc/file"));
    fs.writeFileSync(at("etc/file"), "two");
    const original = keep("etc/file")!;
    expect(whyDamaged(at("kept/etc/file"), original)).toBeUndefined();
    expect(fs.readFileSync(at("kept/etc/file"), "utf8")).toBe("two");
  });
});

describe("putting it back", () => {
  /** A file that was kept, and is not at its path any more. */
  function kept(name: string, text = "theirs"): Original {
    fs.mkdirSync(join(at(name), ".."), { recursive: true });
    fs.writeFileSync(at(name), text);
    const original = keep(name)!;
    fs.rmSync(at(name));
    return original;
  }
  const back = (name: string) => putBack(work, at(name), at(`kept/${name}`));

  test("gives the file, and keeps the kept one until it is no longer needed", () => {
    const original = kept("etc/file");
    expect(back("etc/file")).toEqual([]);
    expect(isOriginal(at("etc/file"), original)).toBe(true);
    expect(fs.existsSync(at("kept/etc/file"))).toBe(true);
    fs.rmSync(at("kept"), { recursive: true });
    expect(fs.readFileSync(at("etc/file"), "utf8")).toBe("theirs");
  });

  test("makes the directories that are missing", () => {
    kept("etc/a/b/file");
    fs.rmSync(at("etc/a"), { recursive: true });
    expect(back("etc/a/b/file")).toEqual([]);
    expect(fs.readFileSync(at("etc/a/b/file"), "utf8")).toBe("theirs");
    expect(fs.statSync(at("etc/a")).mode & 0o022).toBe(0);
  });

  test("gives a link, which is not followed", () => {
    fs.symlinkSync("/etc/passwd", at("etc/link"));
    const original = keep("etc/link")!;
    fs.rmSync(at("etc/link"));
    expect(isOriginal(at("etc/link"), original)).toBe(false);
    expect(back("etc/link")).toEqual([]);
    expect(isOriginal(at("etc/link"), original)).toBe(true);
  });

  test("replaces nothing: neither a file, nor a directory, nor a link", () => {
    kept("etc/file");
    const occupants = [
      () => fs.writeFileSync(at("etc/file"), "new"),
      () => fs.mkdirSync(at("etc/file")),
      () => fs.symlinkSync(at("secret"), at("etc/file")),
    ];
    for (const occupy of occupants) {
      occupy();
      expect(back("etc/file")).toEqual([{ path: at("etc/file"), why: expect.any(String) }]);
      fs.rmSync(at("etc/file"), { recursive: true });
    }
    expect(fs.existsSync(at("secret"))).toBe(false);
  });

  test("goes no way that leads over a link", () => {
    kept("etc/sub/file");
    fs.mkdirSync(at("home"));
    fs.rmdirSync(at("etc/sub"));
    fs.symlinkSync(at("home"), at("etc/sub"));
    expect(back("etc/sub/file")).toEqual([{ path: at("etc/sub/file"), why: "a link or a file is on its way" }]);
    expect(fs.readdirSync(at("home"))).toEqual([]);
  });

  test("what was kept is known to be damaged, or gone", () => {
    const original = kept("etc/file");
    fs.writeFileSync(at("kept/etc/file"), "");
    expect(whyDamaged(at("kept/etc/file"), original)).toBe("it is damaged");
    fs.rmSync(at("kept/etc/file"));
    expect(whyDamaged(at("kept/etc/file"), original)).toBe("it is gone");
    fs.symlinkSync("/etc/passwd", at("kept/etc/file"));
    expect(whyDamaged(at("kept/etc/file"), original)).toBe("it is damaged");
    expect(originalOf(at("kept/etc/file"))).toEqual({ link: "/etc/passwd" });
  });
});
