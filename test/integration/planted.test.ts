import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { type Output, tryRun } from "../../lib/host/process.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { smallBundle } from "../support/small-bundle.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const THEM = 1000;

/** A directory as /tmp is: everybody may make files in it, and nobody may touch another's. */
let shared: string;
let own: string;
let victim: string;
beforeEach(() => {
  shared = fs.mkdtempSync("/tmp/kubestick-shared-");
  own = fs.mkdtempSync("/tmp/kubestick-own-");
  fs.chmodSync(shared, 0o1777);
  victim = join(own, "victim");
  fs.writeFileSync(victim, "precious", { mode: 0o600 });
});
afterEach(() => {
  expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  for (const path of [shared, own]) fs.rmSync(path, { recursive: true });
});

const at = (name: string) => join(shared, name);
const mode = (path: string) => (fs.statSync(path).mode & 0o7777).toString(8);

/** Runs kubestick with a umask that takes nothing away. */
const kubestick = (...words: string[]): Output => {
  const quoted = [...KUBESTICK, ...words].map((word) => `'${word}'`).join(" ");
  return tryRun("sh", ["-c", `umask 000; exec ${quoted}`], 60_000);
};
const plantLink = (name: string, target = victim) => {
  fs.symlinkSync(target, at(name));
  fs.lchownSync(at(name), THEM, THEM);
};
const plantFile = (name: string) => {
  fs.writeFileSync(at(name), "theirs");
  fs.chmodSync(at(name), 0o777);
  fs.chownSync(at(name), THEM, THEM);
};
const plantDirectory = (name: string) => {
  fs.mkdirSync(at(name), { recursive: true });
  fs.chmodSync(at(name), 0o777);
  fs.chownSync(at(name), THEM, THEM);
};
const bundle = () => smallBundle(join(own, "bundle.tar"), { arch: ARCH });

/** A file that passes for a compiled kubestick. */
function executable(): string {
  const head = Buffer.alloc(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(ARCH === "arm64" ? 183 : 62, 18);
  const path = join(own, "kubestick");
  fs.writeFileSync(path, Buffer.concat([head, Buffer.from("\n---- Bun! ----\n")]), { mode: 0o755 });
  return path;
}

const create = () => kubestick("bundle", "create", at("out.tar"), "--from", bundle(), "--arch", ARCH);

describe.skipIf(process.geteuid?.() !== 0)("in a shared directory, as root and without a umask", () => {
  test("bundle create writes through nothing that others planted", () => {
    for (const name of ["out.tar", ".out.tar.partial", ".out.tar.kubestick"]) plantLink(name);
    expectDone(create());
    expect([mode(at("out.tar")), fs.lstatSync(at("out.tar")).uid]).toEqual(["644", 0]);
    expect(fs.lstatSync(at("out.tar")).isFile()).toBe(true);
    fs.rmSync(at("out.tar"));
    plantFile("out.tar");
    expectDone(create());
    expect([mode(at("out.tar")), fs.statSync(at("out.tar")).uid]).toEqual(["644", 0]);
  });

  const STAGING: [string, () => void, string][] = [
    ["a link", () => plantLink(".out.tar.blobs", own), "it is a link"],
    ["a directory", () => plantDirectory(".out.tar.blobs"), `it belongs to another user (${THEM})`],
    [
      "a directory with a link for what comes",
      () => {
        plantDirectory(".out.tar.blobs/partial");
        plantDirectory(".out.tar.blobs");
        plantLink(`.out.tar.blobs/partial/${"0".repeat(64)}`);
      },
      `it belongs to another user (${THEM})`,
    ],
  ];
  for (const [what, plant, why] of STAGING) {
    test(`bundle create uses no ${what} that others planted in the place of its blobs`, () => {
      plant();
      const out = create();
      expect({ status: out.status, stderr: out.stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining(`error: ${at(".out.tar.blobs")} cannot be used: ${why}\nwhat to do: `),
      });
      expect(fs.existsSync(at("out.tar"))).toBe(false);
    });
  }

  test("what create keeps for the next run is its owner's alone", () => {
    const out = kubestick(
      "bundle",
      "create",
      at("out.tar"),
      "--from",
      bundle(),
      "--arch",
      ARCH,
      "--manifest",
      join(own, "none.yaml"),
    );
    expect(out.status).toBe(2);
    expect(mode(at(".out.tar.blobs"))).toBe("700");
    // One that an earlier version made.
    fs.chmodSync(at(".out.tar.blobs"), 0o755);
    expectDone(create());
    expect(fs.readdirSync(shared)).toEqual(["out.tar"]);
  });

  test("bundle attach hands out nobody else's executable", () => {
    plantFile("kubestick");
    plantFile(".kubestick.partial");
    plantLink(".kubestick.kubestick");
    expectDone(kubestick("bundle", "attach", bundle(), "--executable", executable(), "--file", at("kubestick")));
    const made = fs.lstatSync(at("kubestick"));
    expect([made.isFile(), made.uid, mode(at("kubestick"))]).toEqual([true, 0, "755"]);
    expectDone(kubestick("bundle", "detach", at("again.tar"), "--executable", at("kubestick"), "--file", at("bare")));
    expect([mode(at("again.tar")), mode(at("bare"))]).toEqual(["644", "755"]);
    expect(fs.readFileSync(at("again.tar")).equals(fs.readFileSync(join(own, "bundle.tar")))).toBe(true);
  });

  test("bundle extract makes directories that only it can write to, and goes through none that others planted", () => {
    expectDone(kubestick("bundle", "extract", bundle(), at("dir")));
    const names = fs.readdirSync(at("dir"), { recursive: true, encoding: "utf8" }).sort();
    expect([mode(at("dir")), ...names.map((name) => `${name} ${mode(at(`dir/${name}`))}`)]).toEqual([
      "755",
      "bin 755",
      `bin/${ARCH} 755`,
      `bin/${ARCH}/containerd-2.1.9-linux-${ARCH}.tar.gz 644`,
      `bin/${ARCH}/runc.${ARCH} 755`,
    ]);
    fs.mkdirSync(join(own, "there"));
    const refused: [string, () => void, string][] = [
      [
        "a",
        () => plantLink("a", join(own, "there")),
        `${at("a")} cannot be used: ${at("a")} is a link on its way, and it belongs to another user (${THEM})`,
      ],
      ["b/c", () => plantLink("b", own), `${at("b/c")} cannot be used: ${at("b")} is a link on its way`],
      [".", () => plantDirectory("bin"), `${at("bin")} cannot be used: it belongs to another user (${THEM})`],
    ];
    for (const [target, plant, why] of refused) {
      plant();
      const out = kubestick("bundle", "extract", bundle(), at(target));
      expect({ status: out.status, stderr: out.stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining(`error: ${why}`),
      });
    }
    fs.rmSync(at("bin"), { recursive: true });
    plantLink("bin", join(own, "there"));
    expect(kubestick("bundle", "extract", bundle(), shared).stderr).toContain(
      `${at("bin")} cannot be used: it is a link`,
    );
    expect(fs.readdirSync(join(own, "there"))).toEqual([]);
  });

  test("a lock that others planted stops the command, and is named", () => {
    plantLink(".out.tar.lock");
    const out = create();
    expect({ status: out.status, stderr: out.stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining(
        `error: ${at(".out.tar.lock")} is in the place of kubestick's lock, and is not kubestick's: it is a link`,
      ),
    });
  });

  test("init's files have their modes", () => {
    const root = join(own, "root");
    const flags = ["--rootfs", root, "--apiserver-advertise-address", "10.0.0.5"];
    expectDone(kubestick("init", "--dry-run", ...flags));
    const open = fs
      .readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((name) => (fs.statSync(join(root, name)).mode & 0o022) !== 0);
    expect(open).toEqual([]);
  });
});
