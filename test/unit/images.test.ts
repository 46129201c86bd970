import { afterAll, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { LABEL_PINNED } from "../../lib/constants/oci.ts";
import { KubestickError } from "../../lib/errors.ts";
import { type Ctr, containerdNames, importedImages, importImages } from "../../lib/runtime/images.ts";
import { smallBundle } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-images-");
const at = (name: string) => join(work, name);
afterAll(() => {
  bundle.close();
  fs.rmSync(work, { recursive: true, force: true });
});

/** A ctr that lists what is in a file, takes archives, and notes what it was asked. */
const ctr: Ctr = { program: at("ctr"), socket: "/run/c.sock" };
fs.writeFileSync(
  ctr.program,
  `#!/bin/sh
shift 4
echo "$*" >> ${at("asked")}
case "$*" in
"images list") cat ${at("list")} ;;
"images import -") cat > ${at("archive")}; if [ -e ${at("full")} ]; then echo "one" >&2; echo "no space left" >&2; exit 3; fi ;;
esac
`,
  { mode: 0o755 },
);
smallBundle(at("small.tar"));
const bundle = Bundle.open(at("small.tar"));
const image = bundle.images[0]!;
const HEAD = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n";
const line = (name: string, labels: string) => `${name} x/y ${image.manifest.digest} 7.1 KiB linux/amd64 ${labels}\n`;

beforeEach(() => {
  for (const name of ["asked", "archive", "full"]) fs.rmSync(at(name), { force: true });
  fs.writeFileSync(at("list"), HEAD);
});
const asked = () => fs.readFileSync(at("asked"), "utf8").trim().split("\n");
const IMPORT = "images import -";
const PIN = `images label ${image.name} ${LABEL_PINNED}=pinned`;

test("images that are not there are imported and pinned", async () => {
  let progress = 0;
  const count = await importImages(bundle.store, bundle.images, ctr, (bytes) => {
    progress = bytes;
  });
  expect([count, asked()]).toEqual([1, ["images list", IMPORT, PIN]]);
  const archive = fs.readFileSync(at("archive"));
  expect(progress).toBe(archive.length);
  for (const name of containerdNames(image))
    expect(archive.includes(`"io.containerd.image.name":"${name}"`)).toBe(true);
});

test("what is there is left alone, and pinned where an earlier run was killed before it could", async () => {
  for (const [labels, then] of [
    [`io.cri-containerd.image=managed,${LABEL_PINNED}=pinned`, []],
    ["io.cri-containerd.image=managed", [PIN]],
  ] as const) {
    fs.rmSync(at("asked"), { force: true });
    fs.writeFileSync(
      at("list"),
      HEAD +
        containerdNames(image)
          .map((name) => line(name, labels))
          .join(""),
    );
    expect([await importImages(bundle.store, bundle.images, ctr), asked()]).toEqual([0, ["images list", ...then]]);
  }
});

test("what lacks one of its names is imported again", async () => {
  fs.writeFileSync(at("list"), HEAD + line(image.name, `${LABEL_PINNED}=pinned`));
  expect([await importImages(bundle.store, bundle.images, ctr), asked()]).toEqual([1, ["images list", IMPORT, PIN]]);
});

test("containerd's refusal is told by its last line", async () => {
  fs.writeFileSync(at("full"), "");
  await expect(importImages(bundle.store, bundle.images, ctr)).rejects.toThrow(
    "containerd did not take the images: no space left",
  );
  expect(asked()).not.toContain(PIN);
});

test("an image that is damaged breaks the archive off, and is the error that is told", async () => {
  const { config, manifest } = image;
  const store = Object.assign(Object.create(bundle.store) as typeof bundle.store, {
    size: (digest: string) => bundle.store.size(digest),
    chunks: (digest: string) => (digest === config.digest ? [Buffer.alloc(config.size)] : bundle.store.chunks(digest)),
  });
  const error = await importImages(store, bundle.images, ctr).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(KubestickError);
  expect((error as Error).message).toContain(`blob ${config.digest} does not match its digest`);
  expect(fs.readFileSync(at("archive")).includes(manifest.digest)).toBe(true);
});

test("an image without a name is refused before anything is imported", async () => {
  const nameless = { ...image, name: "", rawName: "latest" };
  await expect(importImages(bundle.store, [nameless], ctr)).rejects.toThrow('called "latest", which is no name');
  expect(fs.existsSync(at("asked"))).toBe(false);
});

test("the images of containerd are read out of its list", () => {
  fs.writeFileSync(at("list"), `${HEAD}${line("a/b:1", "-")}${line("a/b:2", `x=y,${LABEL_PINNED}=pinned`)}`);
  expect([...importedImages(ctr)]).toEqual([
    ["a/b:1", { digest: image.manifest.digest, pinned: false }],
    ["a/b:2", { digest: image.manifest.digest, pinned: true }],
  ]);
});
