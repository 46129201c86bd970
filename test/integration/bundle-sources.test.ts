import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER, OCI_LAYER } from "../../lib/constants/oci.ts";
import { forPlatform, LayoutMaker, named, referred } from "../support/layouts.ts";
import { bundleMaker } from "../support/make-bundle.ts";
import { tarOf } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-sources-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
const create = bundleMaker(work);
const APP = "docker.io/library/app:1";

describe("what Docker, buildx and nerdctl write", async () => {
  test("an image with buildx' attestation is taken without it", async () => {
    const maker = new LayoutMaker();
    const image = maker.image();
    const attestation = maker.attestation(image);
    const index = maker.index([forPlatform(image, "amd64"), attestation]);
    const out = await create(maker.tar(at("attestation.tar"), [named(index, APP)]));
    expect(out).toMatchObject({ status: 0, images: [`${APP} amd64`], stderr: "" });
    const bundle = Bundle.open(out.target);
    expect(bundle.blobs.map((blob) => blob.digest)).not.toContain(attestation.digest);
    expect(bundle.images[0]!.indexes).toEqual([index]);
    bundle.close();
  });

  test("platforms that docker save lists and does not hold are passed over, and said to be missing where they were asked for", async () => {
    const maker = new LayoutMaker();
    const [amd64, arm64] = [maker.image(), maker.image({ arch: "arm64" })];
    const attestation = maker.attestation(amd64);
    const index = maker.index([forPlatform(amd64, "amd64"), forPlatform(arm64, "arm64", "v8"), attestation]);
    const archive = at("docker-save.tar");
    const members = maker.members([named(index, APP)], [arm64, attestation]);
    fs.writeFileSync(archive, tarOf([...members, { name: "manifest.json", data: "[]" }]));
    expect(await create(archive)).toMatchObject({ status: 0, images: [`${APP} amd64`], stderr: "" });
    expect(await create(archive, "amd64,arm64")).toMatchObject({
      status: 0,
      images: [`${APP} amd64`],
      stderr: expect.stringContaining(`${APP} is missing for arm64: ${archive} lists it, but does not hold it`),
    });
    expect(await create(archive, "arm64")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`there is nothing for arm64 in ${archive}`),
    });
    // Another machine's archive has the other half.
    const other = maker.tar(at("docker-save-arm64.tar"), [named(index, APP)], [amd64, attestation]);
    expect(await create(`${archive},${other}`, "amd64,arm64")).toMatchObject({
      status: 0,
      images: [`${APP} amd64`, `${APP} arm64`],
      stderr: "",
    });
  });

  test("several images, several names of one, and Docker's own media types", async () => {
    const maker = new LayoutMaker();
    const [one, two] = [
      maker.image({ configType: DOCKER_CONFIG, layerType: `${DOCKER_LAYER}.gzip` }),
      maker.image({ content: "2" }),
    ];
    const list = maker.index([forPlatform(one, "amd64")], DOCKER_INDEX);
    const top = [
      named(list, "docker.io/team/a:1"),
      named(list, "docker.io/team/a:latest"),
      named(two, "quay.io/b/c:2"),
    ];
    expect((await create(maker.tar(at("several.tar"), top))).images).toEqual([
      "docker.io/team/a:1 amd64",
      "docker.io/team/a:latest amd64",
      "quay.io/b/c:2 amd64",
    ]);
  });

  test("of two images of one name the first is taken, and the other is said to be left out", async () => {
    const maker = new LayoutMaker();
    const [one, two] = [maker.image({ content: "1" }), maker.image({ content: "2" })];
    const [first, second] = [
      maker.tar(at("first.tar"), [named(one, APP)]),
      maker.tar(at("second.tar"), [named(two, APP)]),
    ];
    const out = await create(`${first},${second},${first}`);
    expect([out.status, out.images]).toEqual([0, [`${APP} amd64`]]);
    expect(out.stdout.match(/Left out .*/g)).toEqual([
      `Left out ${second}: ${APP} for amd64: another one of that name came first`,
    ]);
    const bundle = Bundle.open(out.target);
    expect(bundle.images[0]!.manifest.digest).toBe(one.digest);
    bundle.close();
  });

  test("more than a bundle may hold is not made", async () => {
    const archives = [0, 1].map((n) => {
      const maker = new LayoutMaker();
      const image = maker.image({ content: String(n) });
      return maker.tar(
        at(`half-${n}.tar`),
        Array.from({ length: 600 }, (_, i) => named(image, `e.test/${n}:${i}`)),
      );
    });
    const out = await create(archives.join());
    expect([out.status, out.stderr, fs.existsSync(out.target)]).toEqual([
      1,
      expect.stringContaining("a bundle holds at most 1000 images, and these are 1200"),
      false,
    ]);
  });

  test("an image without a name is refused, with how to give it one", async () => {
    const maker = new LayoutMaker();
    const image = maker.image();
    expect(await create(maker.tar(at("nameless.tar"), [image]))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`holds an image without a name (${image.digest})`),
    });
  });

  test("of the variants of an architecture the one for every board is taken, and no other system's image", async () => {
    const maker = new LayoutMaker();
    const [fast, base, windows, riscv] = [
      maker.image({ content: "v3" }),
      maker.image({ content: "v1" }),
      maker.image({ os: "windows", content: "windows" }),
      maker.image({ arch: "riscv64" }),
    ];
    const index = maker.index([
      forPlatform(fast, "amd64", "v3"),
      forPlatform(windows, "amd64", undefined, "windows"),
      forPlatform(base, "amd64"),
      forPlatform(riscv, "riscv64"),
    ]);
    const out = await create(maker.tar(at("variants.tar"), [named(index, APP)]));
    expect(out.images).toEqual([`${APP} amd64`]);
    const bundle = Bundle.open(out.target);
    expect(bundle.images[0]!.manifest.digest).toBe(base.digest);
    bundle.close();
    // One that is listed for what it is not would start nowhere.
    const wrong = maker.index([forPlatform(base, "amd64"), forPlatform(maker.image({ content: "wrong" }), "arm64")]);
    const mixed = await create(maker.tar(at("wrong.tar"), [named(wrong, APP)]), "amd64,arm64");
    expect([mixed.images, mixed.stdout]).toEqual([
      [`${APP} amd64`],
      expect.stringContaining(`${APP}: it is listed for arm64, but its config says amd64`),
    ]);
    // A Windows image alone is none.
    const alone = await create(maker.tar(at("windows.tar"), [named(windows, APP)]));
    expect(alone).toMatchObject({ status: 1, stderr: expect.stringContaining("there is nothing for amd64") });
  });
});

describe("names", async () => {
  const cases: [string, string][] = [
    ["busybox:1.36", "docker.io/library/busybox:1.36"],
    ["team/app", "docker.io/team/app:latest"],
    ["registry:5000/x", "registry:5000/x:latest"],
    ["localhost/x:2", "localhost/x:2"],
    ["index.docker.io/a/b:3", "docker.io/a/b:3"],
    [`quay.io/x/y:1.0@sha256:${"a".repeat(64)}`, `quay.io/x/y@sha256:${"a".repeat(64)}`],
  ];
  test.each(cases)("%s is %s, as a reference and as containerd's name", async (given, name) => {
    const maker = new LayoutMaker();
    const image = maker.image();
    for (const listed of [referred(image, given), named(image, given)])
      expect(await create(maker.tar(at("name.tar"), [listed]))).toMatchObject({ status: 0, images: [`${name} amd64`] });
  });

  test("a bare tag is no name, and neither is what has other characters", async () => {
    const maker = new LayoutMaker();
    const image = maker.image();
    const hint = "oci-archive:FILE.tar:registry.example.org/team/app:TAG";
    for (const [said, why] of [
      ["3.10", 'only called "3.10", which is a tag and no name'],
      ["latest", 'only called "latest", which is a tag and no name'],
      ["My Image:1", 'of the name "My Image:1", which is none'],
    ] as const) {
      const out = await create(maker.tar(at("tag.tar"), [referred(image, said)]));
      expect([out.status, out.stderr]).toEqual([1, expect.stringContaining(why)]);
      expect(out.stderr).toContain(hint);
    }
  });

  test("an image that a manifest asks for by its digest is found in what --from has under its tag", async () => {
    const maker = new LayoutMaker();
    const image = maker.image();
    const index = maker.index([forPlatform(image, "amd64"), maker.attestation(image)]);
    const archive = maker.tar(at("digest.tar"), [named(index, "quay.io/x/y:1.0")]);
    const file = at("pod.yaml");
    fs.writeFileSync(
      file,
      `kind: Pod\nspec: {containers: [{image: 'quay.io/x/y:1.0@${index.digest}'}, {image: 'quay.io/x/y@${image.digest}'}]}\n`,
    );
    const out = await create(archive, "amd64", "--manifest", file);
    expect(out.images).toEqual(
      ["quay.io/x/y:1.0", `quay.io/x/y@${image.digest}`, `quay.io/x/y@${index.digest}`].map((n) => `${n} amd64`).sort(),
    );
    // Made of that bundle again, it is the same.
    const again = await create(out.target);
    expect(fs.readFileSync(again.target).equals(fs.readFileSync(out.target))).toBe(true);
    fs.writeFileSync(file, `kind: Pod\nspec: {containers: [{image: 'quay.io/x/y:1.0@sha256:${"b".repeat(64)}'}]}\n`);
    expect(await create(archive, "amd64", "--manifest", file)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`no --from source contains quay.io/x/y@sha256:${"b".repeat(64)}`),
    });
  });
});

test("signatures, charts, attestations and bills of materials are left out, and said", async () => {
  const maker = new LayoutMaker();
  const image = maker.image();
  const helm = (part: string) => `application/vnd.cncf.helm.${part}`;
  const artifacts: [string, string][] = [
    [
      maker.image({
        layerType: "application/vnd.dev.cosign.simplesigning.v1+json",
        config: { architecture: "", os: "" },
      }).digest,
      "a signature",
    ],
    [
      maker.image({ configType: helm("config.v1+json"), layerType: helm("chart.content.v1.tar+gzip") }).digest,
      "a Helm chart",
    ],
    [maker.image({ layerType: "application/vnd.in-toto+json", content: "x" }).digest, "an attestation"],
    [maker.image({ layerType: "text/spdx+json" }).digest, "a bill of materials"],
    [
      maker.image({ configType: "application/vnd.x.y", layerType: "text/z" }).digest,
      'an artifact of the type "application/vnd.x.y"',
    ],
  ];
  const listed = artifacts.map(([digest], i) =>
    referred(
      { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: maker.blobs.get(digest)!.length },
      `e.test/a:${i}`,
    ),
  );
  const out = await create(maker.tar(at("artifacts.tar"), [named(image, APP), ...listed]));
  expect(out).toMatchObject({ status: 0, images: [`${APP} amd64`] });
  for (const [i, [, kind]] of artifacts.entries())
    expect(out.stdout).toContain(`[create] Left out ${at("artifacts.tar")}: e.test/a:${i}: ${kind}, not an image`);
  // A bundle itself holds nothing of the kind.
  expect(() => Bundle.open(at("artifacts.tar"))).toThrow("which a bundle does not hold");
});

describe("layers and manifests of other kinds", async () => {
  const of = (maker: LayoutMaker, listed: Parameters<typeof named>[0], missing: Parameters<typeof named>[0][] = []) =>
    create(maker.tar(at("layers.tar"), [named(listed, APP)], missing));

  test("zstd is taken; an encrypted layer, and a foreign one that is not there, are refused in words", async () => {
    const maker = new LayoutMaker();
    expect(await of(maker, maker.image({ layerType: `${OCI_LAYER}+zstd` }))).toMatchObject({ status: 0 });
    const config = maker.put("application/vnd.oci.image.config.v1+json", { architecture: "amd64", os: "linux" });
    const good = maker.put(OCI_LAYER, "good");
    const withLayer = (mediaType: string) => {
      const layer = maker.put(mediaType, mediaType);
      const mediaTypes = "application/vnd.oci.image.manifest.v1+json";
      return { layer, listed: maker.put(mediaTypes, { schemaVersion: 2, config, layers: [good, layer] }) };
    };
    expect(await of(maker, withLayer(`${OCI_LAYER}+gzip+encrypted`).listed)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(
        `a layer is of the media type "${OCI_LAYER}+gzip+encrypted", which a bundle does not hold`,
      ),
    });
    const foreign = withLayer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    expect(await of(maker, foreign.listed)).toMatchObject({ status: 0, images: [`${APP} amd64`] });
    expect(await of(maker, foreign.listed, [foreign.layer])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("a layer is not in it, because it may only be had from its maker"),
    });
  });

  test("Docker's schema 1, an index that is a manifest too, and indexes nested without end are refused in words", async () => {
    const maker = new LayoutMaker();
    const image = maker.image();
    const old = maker.put("application/vnd.docker.distribution.manifest.v1+prettyjws", { schemaVersion: 1 });
    const both = maker.put("application/vnd.oci.image.index.v1+json", { manifests: [image], layers: [] });
    let deep = forPlatform(image, "amd64");
    const nested = [0, 1, 2, 3, 4].map(() => {
      deep = maker.index([deep]);
      return deep;
    });
    for (const [listed, why] of [
      [old, "Docker's old format (schema 1)"],
      [both, "its index is a manifest at the same time"],
      [nested[4]!, "indexes stand in each other more than 4 deep"],
    ] as const)
      expect(await of(maker, listed)).toMatchObject({ status: 1, stderr: expect.stringContaining(why) });
    expect(await of(maker, nested[3]!)).toMatchObject({ status: 0, images: [`${APP} amd64`] });
  });
});
