import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { OCI_LAYER } from "../../lib/constants/oci.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { kubestickHere } from "../support/here.ts";
import { forPlatform, LayoutMaker, named, referred } from "../support/layouts.ts";
import { bundleMaker } from "../support/make-bundle.ts";
import { tarOf } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-from-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
const create = bundleMaker(work);
const APP = "docker.io/library/app:1";

describe("docker-archives", async () => {
  const layer = tarOf([{ name: "a", data: "b" }]);
  const archive = (
    path: string,
    layers: Buffer[],
    tags: string[] | null = ["app:1"],
    config: object = { architecture: "amd64" },
  ) => {
    const names = layers.map((_, i) => `${i}/layer.tar`);
    fs.writeFileSync(
      path,
      tarOf([
        { name: "c.json", data: JSON.stringify(config) },
        ...layers.map((data, i) => ({ name: names[i]!, data })),
        { name: "manifest.json", data: JSON.stringify([{ Config: "c.json", RepoTags: tags, Layers: names }]) },
      ]),
    );
    return path;
  };

  test("with layers plain, gzip and zstd, and with several names", async () => {
    const out = await create(
      archive(at("docker.tar"), [layer, gzipSync(layer), zstdCompressSync(layer)], ["app:1", "localhost/app:2"]),
    );
    expect(out.images).toEqual([`${APP} amd64`, "localhost/app:2 amd64"]);
    const bundle = Bundle.open(out.target);
    expect(bundle.images[0]!.layers.map((l) => l.mediaType)).toEqual([
      OCI_LAYER,
      `${OCI_LAYER}+gzip`,
      `${OCI_LAYER}+zstd`,
    ]);
    bundle.close();
  });

  test("without a name, with a layer that containerd does not take, and for another system", async () => {
    expect((await create(archive(at("docker.tar"), [layer], null))).stderr).toContain("holds an image without a name");
    expect((await create(archive(at("docker.tar"), [layer], ["<none>:<none>"]))).stderr).toContain(
      '"<none>:<none>", which is none',
    );
    expect((await create(archive(at("docker.tar"), [Buffer.from("\xfd7zXZ\0 and more", "latin1")]))).stderr).toContain(
      "is compressed with xz, which containerd does not take",
    );
    const other = await create(archive(at("docker.tar"), [layer], ["app:1"], { architecture: "amd64", os: "windows" }));
    expect(other.stderr).toContain("there is nothing for amd64");
  });
});

describe("files and directories", async () => {
  const maker = new LayoutMaker();
  const tar = maker.tar(at("plain.tar"), [named(maker.image(), APP)]);

  test.each([
    ["gzip", "gunzip -k", gzipSync],
    ["zstd", "unzstd -k", zstdCompressSync],
    ["xz", "unxz -k", () => Buffer.from("\xfd7zXZ\0...", "latin1")],
    ["bzip2", "bunzip2 -k", () => Buffer.from("BZh9...")],
  ] as const)("a bundle that is compressed with %s is told what to do: %s", async (name, command, pack) => {
    const packed = at(`plain.tar.${name}`);
    fs.writeFileSync(packed, pack(fs.readFileSync(tar)));
    const said = `${packed} is compressed with ${name}\nwhat to do: unpack it first: ${command} ${packed}\n`;
    expect(await create(packed)).toMatchObject({ status: 1, stderr: `error: ${said}` });
    for (const verb of ["inspect", "verify"])
      expect(await kubestickHere("bundle", verb, packed)).toMatchObject({
        status: 1,
        stderr: `error: ${said}`,
      });
  });

  test("a directory of archives, layouts, programs and other files: what is of no use is left out and said", async () => {
    const dir = at("dir");
    fs.mkdirSync(join(dir, "deep"), { recursive: true });
    fs.copyFileSync(tar, join(dir, "one.tar"));
    const layout = new LayoutMaker();
    layout.directory(join(dir, "deep/layout"), [referred(layout.image({ content: "2" }), "quay.io/a/b:2")]);
    fs.writeFileSync(join(dir, "README.txt"), "hello\n");
    fs.writeFileSync(join(dir, "empty"), "");
    fs.writeFileSync(join(dir, "source.tar"), tarOf([{ name: "main.go", data: "x" }]));
    fs.copyFileSync("/bin/true", join(dir, "tool"));
    fs.symlinkSync("/nowhere", join(dir, "broken"));
    fs.symlinkSync("/dev/zero", join(dir, "device"));
    tryRun("mkfifo", [join(dir, "fifo")]);
    const out = await create(dir);
    expect(out).toMatchObject({ status: 0, images: [`${APP} amd64`, "quay.io/a/b:2 amd64"] });
    for (const name of ["README.txt", "empty", "tool"])
      expect(out.stdout).toContain(`Left out ${join(dir, name)}: neither an image archive nor a host binary`);
    expect(out.stdout).toContain(`Left out ${join(dir, "source.tar")}: an archive of something else than images`);
    for (const name of ["README.txt", "tool"])
      expect(await create(join(dir, name))).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("is neither an image archive"),
      });
  });

  test("a layout directory with devices, FIFOs and directories in the place of files is refused, and nothing waits", async () => {
    const dir = maker.directory(at("traps"), [named(maker.image(), APP)]);
    const blob = join(dir, "blobs/sha256", fs.readdirSync(join(dir, "blobs/sha256"))[0]!);
    fs.rmSync(blob);
    for (const [make, why] of [
      [() => fs.symlinkSync("/dev/zero", blob), "lacks the blob"],
      [() => tryRun("mkfifo", [blob]), "lacks the blob"],
      [() => fs.mkdirSync(blob), "lacks the blob"],
    ] as const) {
      make();
      expect(await create(dir)).toMatchObject({ status: 1, stderr: expect.stringContaining(why) });
      fs.rmSync(blob, { recursive: true });
    }
    fs.rmSync(join(dir, "index.json"));
    fs.symlinkSync("/dev/zero", join(dir, "index.json"));
    expect(await create(dir)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("it is a device, not a plain file"),
    });
  });
});

const judges = ["skopeo", "ctr"].filter((name) => !findProgram(name));
describe.skipIf(judges.length > 0)("what skopeo writes", async () => {
  const maker = new LayoutMaker();
  const index = maker.index([
    forPlatform(maker.image(), "amd64"),
    forPlatform(maker.image({ arch: "arm64" }), "arm64"),
  ]);
  const source = `oci-archive:${maker.tar(at("skopeo.tar"), [named(index, "quay.io/x/y:1.0")])}`;
  const copy = (target: string, ...more: string[]) => run("skopeo", ["copy", "-q", ...more, source, target], 60_000);

  test("oci:, oci-archive: and docker-archive: with a name, of one and of all architectures", async () => {
    copy(`oci:${at("s-dir")}:quay.io/x/y:1.0`);
    copy(`oci:${at("s-all")}:quay.io/x/y:1.0`, "--all");
    copy(`oci-archive:${at("s-archive.tar")}:quay.io/x/y:1.0`);
    copy(`docker-archive:${at("s-docker.tar")}:quay.io/x/y:1.0`);
    for (const name of ["s-dir", "s-archive.tar", "s-docker.tar"])
      expect([name, (await create(at(name))).images]).toEqual([name, ["quay.io/x/y:1.0 amd64"]]);
    const all = await create(at("s-all"), "amd64,arm64");
    expect(all.images).toEqual(["quay.io/x/y:1.0 amd64", "quay.io/x/y:1.0 arm64"]);
    // The bundle is a whole layout again: nothing is listed in it that it has not.
    run("skopeo", ["copy", "-q", "--all", `oci-archive:${all.target}:quay.io/x/y:1.0`, `dir:${at("s-out")}`], 60_000);
    run(
      "skopeo",
      [
        "copy",
        "-q",
        "--all",
        `oci-archive:${(await create(at("s-all"))).target}:quay.io/x/y:1.0`,
        `dir:${at("s-one")}`,
      ],
      60_000,
    );
  });

  test("dir: and a bare tag are refused with what to do instead", async () => {
    copy(`dir:${at("s-plain")}`);
    copy(`oci:${at("s-tag")}:1.0`);
    expect(await create(at("s-plain"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`skopeo copy dir:${at("s-plain")} oci-archive:FILE.tar:`),
    });
    expect((await create(at("s-tag"))).stderr).toContain('only called "1.0", which is a tag and no name');
  });
});
