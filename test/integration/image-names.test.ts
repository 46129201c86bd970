import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run } from "../../lib/host/process.ts";
import { mirrorConfig } from "../../lib/runtime/containerd-config.ts";
import { Cri } from "../../lib/runtime/cri.ts";
import { importImages } from "../../lib/runtime/images.ts";
import { serve } from "../../lib/serve/serve.ts";
import { E2E_BIN } from "../support/binaries.ts";
import { TestContainerd } from "../support/containerd.ts";
import { kubestickHere } from "../support/here.ts";
import { forPlatform, LayoutMaker, named, referred } from "../support/layouts.ts";
import { until } from "../support/node.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const work = fs.mkdtempSync("/tmp/kubestick-names-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

// Debian's containerd, and another that was put there to be tried.
const daemons = [...new Set([findProgram("containerd"), join(E2E_BIN, "containerd")])].filter(
  (path): path is string => path !== undefined && fs.existsSync(path) && process.getuid?.() === 0,
);
const ctrOf = (containerd: string) => join(containerd, "../ctr");

const maker = new LayoutMaker();
const [short, pinned, plain] = ["short", "pinned", "plain"].map((content) => maker.image({ arch: ARCH, content }));
const index = maker.index([forPlatform(short!, ARCH), maker.attestation(short!)]);
const top = [
  referred(index, "busybox:1.36"),
  named(pinned!, `quay.io/x/y:1.0@${pinned!.digest}`),
  named(plain!, "registry:5000/x"),
];

/** What pods may ask for, as they write it; each is in the bundle. */
const SPELLINGS = [
  "busybox:1.36",
  "docker.io/library/busybox:1.36",
  "docker.io/busybox:1.36",
  `busybox@${short!.digest}`,
  `busybox:1.36@${short!.digest}`,
  `docker.io/library/busybox:1.36@${index.digest}`,
  `quay.io/x/y:1.0@${pinned!.digest}`,
  `quay.io/x/y@${pinned!.digest}`,
  "registry:5000/x",
  "registry:5000/x:latest",
  `registry:5000/x:latest@${plain!.digest}`,
];

/** The names and digests of a bundle's images. */
function imagesIn(file: string): string[] {
  const bundle = Bundle.open(file);
  bundle.close();
  return bundle.images.map(({ name, manifest }) => `${name} ${manifest.digest}`).sort();
}

describe.skipIf(daemons.length === 0)("names in containerd", () => {
  let bundle: Bundle;
  beforeAll(async () => {
    const source = maker.tar(at("source.tar"), top);
    const out = await kubestickHere(
      "bundle",
      "create",
      at("bundle.tar"),
      "--offline",
      "--arch",
      ARCH,
      "--from",
      source,
    );
    expect(out).toMatchObject({ status: 0 });
    bundle = Bundle.open(at("bundle.tar"));
  });
  afterAll(() => bundle?.close());

  test.each(daemons)("%s finds every spelling of what a bundle brings, and nothing else", async (program) => {
    const daemon = await TestContainerd.start(at(`loaded-${daemons.indexOf(program)}`), {
      program,
      sandboxImage: "registry:5000/x",
    });
    const cri = new Cri(`unix://${daemon.socket}`);
    try {
      const ctr = { program: ctrOf(program), socket: daemon.socket };
      expect(await importImages(bundle.store, bundle.images, ctr)).toBe(3);
      await until(() => cri.hasImage(SPELLINGS.at(-1)!), 10_000, "the CRI hears of the images");
      const found: [string, boolean][] = [];
      for (const name of SPELLINGS) found.push([name, await cri.hasImage(name)]);
      expect(found).toEqual(SPELLINGS.map((name) => [name, true]));
      for (const name of ["busybox:1.37", "busybox", `quay.io/x/y@${short!.digest}`])
        expect(await cri.hasImage(name)).toBe(false);
      expect(await importImages(bundle.store, bundle.images, ctr)).toBe(0);
      // What its own client writes of them again is taken again.
      const exported = join(daemon.work, "exported.tar");
      const names = bundle.images.map((image) => image.name);
      run(ctr.program, ["-a", daemon.socket, "-n", "k8s.io", "images", "export", exported, ...names]);
      const again = join(daemon.work, "again.tar");
      expect(
        await kubestickHere("bundle", "create", again, "--offline", "--arch", ARCH, "--from", exported),
      ).toMatchObject({ status: 0 });
      expect(imagesIn(again)).toEqual(imagesIn(at("bundle.tar")));
    } finally {
      cri.close();
      await daemon.stop();
    }
  });

  test("an image without a name is refused before anything is imported", async () => {
    const nameless = bundle.images.map((image, i) => (i === 1 ? { ...image, name: "", rawName: "3.10" } : image));
    const importing = importImages(bundle.store, nameless, { program: "/nowhere/ctr", socket: "/nowhere" });
    await expect(importing).rejects.toThrow('bundle.tar has an image called "3.10", which is no name');
  });

  test.each(daemons)("%s pulls every spelling through a bundle that is served", async (program) => {
    const daemon = await TestContainerd.start(at(`pulled-${daemons.indexOf(program)}`), {
      program,
      sandboxImage: "registry:5000/x",
    });
    const cri = new Cri(`unix://${daemon.socket}`);
    const server = serve(bundle, {}, { hostname: "127.0.0.1", port: 0 });
    try {
      fs.mkdirSync(join(daemon.work, "certs.d/_default"), { recursive: true });
      fs.writeFileSync(
        join(daemon.work, "certs.d/_default/hosts.toml"),
        mirrorConfig("_default", `http://127.0.0.1:${server.port}`),
      );
      for (const name of SPELLINGS) {
        await cri.pullImage(name);
        expect([name, await cri.hasImage(name)]).toEqual([name, true]);
      }
    } finally {
      cri.close();
      await server.stop();
      await daemon.stop();
    }
  });
});
