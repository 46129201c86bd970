import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { unpackBinary } from "../../lib/binaries/unpack.ts";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from "../../lib/constants/oci.ts";
import { KubestickError } from "../../lib/errors.ts";
import { kubestickHere } from "../support/here.ts";
import { type Hostile, hostile, hostileAnswer } from "../support/hostile-bundles.ts";
import { paxHeader, rawHeader, rawMember } from "../support/hostile-tar.ts";
import { forPlatform, LayoutMaker, type Listed, referred } from "../support/layouts.ts";
import { measured } from "../support/measured.ts";
import { Random } from "../support/random.ts";
import { RegistryDouble } from "../support/registry-double.ts";
import { smallBundle, tarOf } from "../support/small-bundle.ts";

/** So many hostile things of each sort; KUBESTICK_FUZZ=5000 tries more of them by hand, KUBESTICK_FUZZ_SEED others. */
const COUNT = Number(process.env["KUBESTICK_FUZZ"] ?? 60);
const SEED = Number(process.env["KUBESTICK_FUZZ_SEED"] ?? 20_261_125);
const PEAK_MIB = 128;
/** Generous: a fraction of it is used. */
const CPU_SECONDS = 10;

const work = fs.mkdtempSync("/tmp/kubestick-hostile-");
const at = (name: string) => join(work, name);
const path = process.env["PATH"];
let program: string;

beforeAll(() => {
  smallBundle(at("good.tar"));
  program = at("program");
  const elf = Buffer.alloc(4096);
  elf.write("\x7fELF\x02\x01", "latin1");
  elf.writeUInt16LE(62, 18);
  elf.write("\n---- Bun! ----\n", 4000);
  fs.writeFileSync(program, elf);
  // A containerd that takes everything.
  fs.mkdirSync(at("bin"));
  fs.writeFileSync(at("bin/ctr"), '#!/bin/sh\ncase "$*" in *import*) cat >/dev/null ;; esac\n', { mode: 0o755 });
  process.env["PATH"] = `${at("bin")}:${path}`;
});
afterAll(() => {
  process.env["PATH"] = path;
  fs.rmSync(work, { recursive: true, force: true });
});

/** Does one thing with something hostile, in this process: gives the exit code and what was said. */
async function attempt([first, ...rest]: string[]): Promise<{ status: number; stderr: string }> {
  if (first !== "unpack") return kubestickHere(first!, ...rest);
  const [file, place] = rest as [string, string];
  try {
    const bundle = Bundle.open(file);
    for (const binary of bundle.binaries)
      await unpackBinary(bundle.store, binary, hostBinaryKind(binary.name)!, (name) => join(place, name));
    bundle.close();
    return { status: 0, stderr: "" };
  } catch (error) {
    if (error instanceof KubestickError) return { status: error.exitCode, stderr: error.message };
    return { status: -1, stderr: `bug in kubestick: ${(error as Error).stack}` };
  }
}

function expectCivil(what: string, { status, stderr }: { status: number; stderr: string }): void {
  const civil = [0, 1, 2, 3].includes(status) && !/bug in kubestick|\n\s+at /.test(stderr);
  if (!civil) throw new Error(`${what}: exit code ${status}, ${stderr.slice(0, 2_000)}`);
}

test(`${COUNT} hostile bundles, archives, directories and locks: each is used or refused in words, and nothing is written elsewhere`, async () => {
  const outcomes = { used: 0, refused: 0 };
  for (let i = 0; i < COUNT; i++) {
    const random = new Random(SEED + i);
    const room = at("room");
    fs.rmSync(room, { recursive: true, force: true });
    for (const dir of ["in", "out/root"]) fs.mkdirSync(join(room, dir), { recursive: true });
    const made: Hostile = hostile(random, join(room, "in/subject"), {
      good: at("good.tar"),
      executable: program,
      out: join(room, "out"),
    });
    // Every command has its turn, with other seeds.
    const commands = made.commands.filter((_, n) => made.commands.length < 3 || n % 4 === i % 4);
    for (const command of commands) {
      const out = await attempt(command);
      expectCivil(`seed ${SEED + i} (${made.kind}), ${command.slice(0, 2).join(" ")}`, out);
      outcomes[out.status === 0 ? "used" : "refused"]++;
      expect([fs.readdirSync(room).sort(), fs.readdirSync(join(room, "in"))]).toEqual([["in", "out"], ["subject"]]);
    }
  }
  expect(fs.existsSync("/tmp/kubestick-escaped")).toBe(false);
  expect(fs.readdirSync(work).sort()).toEqual(["bin", "good.tar", "program", "room"]);
  expect(Math.min(outcomes.used, outcomes.refused)).toBeGreaterThan(COUNT / 8);
}, 600_000);

describe("registries", () => {
  let double: RegistryDouble | undefined;
  afterEach(() => double?.stop());

  test(`${COUNT} registries that answer what they should not: each is refused in words, at once`, async () => {
    for (let i = 0; i < COUNT; i++) {
      const random = new Random(SEED + i);
      const maker = new LayoutMaker();
      double = new RegistryDouble(maker, random.pick(["nothing", "basic", "bearer"] as const));
      double.tags["team/app:1"] = maker.index([forPlatform(maker.image(), "amd64")]);
      const share = random.next();
      double.instead = () => (random.chance(share) ? hostileAnswer(random) : undefined);
      fs.writeFileSync(at("auth.json"), '{"auths":{"docker.io":{"auth":"dTpw"}}}');
      const mirror = ["--registry-mirror", `docker.io=${double.url}`, "--registry-config", at("auth.json")];
      const from = ["--from", at("good.tar"), "--arch", "amd64", "--image", "docker.io/team/app:1"];
      const out = await kubestickHere("bundle", "create", at("pulled.tar"), ...from, ...mirror);
      expectCivil(`seed ${SEED + i}`, out);
      await double.stop();
    }
  }, 600_000);
});

/** What was found to take far more than it should; each stands at, or beyond, a limit. */
const LAYOUTS: [string, () => { maker: LayoutMaker; top: Listed[] }, string | undefined][] = [
  [
    "one manifest under 14,000 names",
    () => {
      const maker = new LayoutMaker();
      const image = maker.image();
      return { maker, top: Array.from({ length: 14_000 }, (_, i) => referred(image, `e.test/a:${i}`)) };
    },
    "lists more than 1000 images",
  ],
  [
    "one manifest 14,000 times",
    () => {
      const maker = new LayoutMaker();
      return { maker, top: Array<Listed>(14_000).fill(referred(maker.image(), "e.test/a:1")) };
    },
    undefined,
  ],
  [
    "indexes in each other, each listing the next a thousand times",
    () => {
      const maker = new LayoutMaker();
      let listed = maker.image();
      for (let depth = 0; depth < 4; depth++)
        listed = maker.put(OCI_INDEX, { schemaVersion: 2, manifests: Array(1000).fill(listed) });
      return { maker, top: Array.from({ length: 14_000 }, (_, i) => referred(listed, `e.test/a:${i}`)) };
    },
    "has more than 33554432 bytes of manifests and configs",
  ],
  [
    "large manifests, to the limit",
    () => {
      const maker = new LayoutMaker();
      const image = (content: string) => maker.image({ content, manifest: { pad: "x".repeat(1_900_000) } });
      return { maker, top: Array.from({ length: 16 }, (_, i) => referred(image(String(i)), `e.test/a:${i}`)) };
    },
    undefined,
  ],
  [
    "as many images and blobs as there may be",
    () => {
      const maker = new LayoutMaker();
      const images = Array.from({ length: 720 }, (_, i) => {
        const config = maker.put(OCI_CONFIG, { architecture: "amd64", os: "linux", i });
        const layers = Array.from({ length: 9 }, (_, n) => maker.put(OCI_LAYER, `${i} ${n}`));
        return referred(maker.put(OCI_MANIFEST, { schemaVersion: 2, config, layers }), `e.test/a:${i}`);
      });
      return { maker, top: images };
    },
    undefined,
  ],
  [
    "as many layers as there may be",
    () => {
      const maker = new LayoutMaker();
      const [config, layer] = [
        maker.put(OCI_CONFIG, { architecture: "amd64", os: "linux" }),
        maker.put(OCI_LAYER, "x"),
      ];
      const image = (i: number) =>
        maker.put(OCI_MANIFEST, { schemaVersion: 2, i, config, layers: Array(256).fill(layer) });
      return { maker, top: Array.from({ length: 850 }, (_, i) => referred(image(i), `e.test/a:${i}`)) };
    },
    undefined,
  ],
];

const many = (length: number, of: (i: number) => Buffer) =>
  Buffer.concat([...Array.from({ length }, (_, i) => of(i)), Buffer.alloc(1024)]);
const dockerArchive = (list: unknown) =>
  tarOf([
    { name: "c.json", data: '{"architecture":"amd64","os":"linux"}' },
    { name: "l", data: Buffer.alloc(1024) },
    { name: "manifest.json", data: typeof list === "string" ? list : JSON.stringify(list) },
  ]);
const names = (length: number) => [
  { Config: "c.json", RepoTags: Array.from({ length }, (_, i) => `e.test/a:${i}`), Layers: ["l"] },
];

const TARS: [string, () => Buffer, string | undefined][] = [
  [
    "a docker-archive with a million names",
    () => dockerArchive(names(1_000_000)),
    "is larger than it may be (4194304 bytes)",
  ],
  ["a docker-archive with 90,000 names", () => dockerArchive(names(90_000)), "has more than 1000 names of images"],
  [
    "a docker-archive that is nested without end",
    () => dockerArchive("[".repeat(4_000_000)),
    "is nested deeper than 64 levels",
  ],
  [
    "a docker-archive with as much as there may be",
    () =>
      dockerArchive(
        Array.from({ length: 195 }, (_, i) => ({
          Config: "c.json",
          RepoTags: [0, 1, 2, 3, 4].map((n) => `e.test/${n}:${i}`),
          Layers: Array(250).fill("l"),
        })),
      ),
    undefined,
  ],
  [
    "more members than there may be",
    () => many(30_000, (i) => rawHeader({ name: `f${i}` })),
    "has more than 8000 members",
  ],
  [
    "long names",
    () =>
      many(3_990, (i) => Buffer.concat([paxHeader({ path: String(i).padStart(500, "n") }), rawHeader({ name: "x" })])),
    "an archive of something else than images",
  ],
  [
    "large extended headers",
    () =>
      many(500, () => Buffer.concat([paxHeader({ comment: "x".repeat(60_000), path: "y" }), rawHeader({ name: "x" })])),
    "an archive of something else than images",
  ],
];

describe(`within ${PEAK_MIB} MiB and seconds`, () => {
  async function expectBounded(args: string[], message: string | undefined): Promise<void> {
    const { status, stderr, peakMiB, cpuSeconds } = await measured(...args);
    expect({ status, stderr }).toEqual(
      message === undefined ? { status: 0, stderr: "" } : { status: 1, stderr: expect.stringContaining(message) },
    );
    expect(peakMiB).toBeLessThan(PEAK_MIB);
    expect(cpuSeconds).toBeLessThan(CPU_SECONDS);
  }
  const create = (file: string) => ["bundle", "create", at("made.tar"), "--offline", "--arch", "amd64", "--from", file];

  test.each(LAYOUTS)(
    "%s",
    async (_, make, message) => {
      const { maker, top } = make();
      const file = maker.tar(at("layout.tar"), top);
      await expectBounded(create(file), message);
    },
    120_000,
  );

  test.each(TARS)(
    "%s",
    async (_, make, message) => {
      fs.writeFileSync(at("archive.tar"), make());
      await expectBounded(create(at("archive.tar")), message);
    },
    120_000,
  );

  const zeros = (mebibytes: number) =>
    Buffer.concat(Array<Buffer>(mebibytes / 16).fill(gzipSync(Buffer.alloc(16 * 2 ** 20), { level: 9 })));

  test("a layer that unpacks to three gigabytes, compressed anew", async () => {
    const maker = new LayoutMaker();
    const config = maker.put(OCI_CONFIG, { architecture: "amd64", os: "linux", rootfs: { diff_ids: [] } });
    const layer = maker.put(`${OCI_LAYER}+gzip`, zeros(3072));
    const image = maker.put(OCI_MANIFEST, { schemaVersion: 2, config, layers: [layer] });
    const file = maker.tar(at("bomb.tar"), [referred(image, "e.test/a:1")]);
    await expectBounded([...create(file), "--zstd"], "unpacks to more than");
  }, 120_000);

  const programs = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"].map((name) =>
    rawMember({ name }, name),
  );
  test.each<[string, () => Buffer, string | undefined]>([
    [
      "zeros behind an archive's end",
      () => Buffer.concat([gzipSync(Buffer.concat([...programs, Buffer.alloc(1024)])), zeros(3072)]),
      undefined,
    ],
    [
      "a member of three gigabytes",
      () =>
        Buffer.concat([
          gzipSync(Buffer.concat([...programs, rawHeader({ name: "x", size: 3 * 2 ** 30 })])),
          zeros(3072),
        ]),
      "unpacks to more than 536870912 bytes",
    ],
    [
      "a million members",
      () =>
        Buffer.concat(
          Array<Buffer>(1000).fill(gzipSync(Buffer.concat(Array<Buffer>(1000).fill(rawHeader({ name: "x" }))))),
        ),
      "has more than 8000 members",
    ],
  ])(
    "a host binary's archive with %s",
    async (_, make, message) => {
      const maker = new LayoutMaker();
      const file = maker.tar(at("programs.tar"), [maker.containerd(make())]);
      const before = process.memoryUsage.rss();
      const out = await attempt(["unpack", file, at("programs")]);
      expect(out).toEqual({ status: message ? 1 : 0, stderr: message ? expect.stringContaining(message) : "" });
      expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(PEAK_MIB);
      expect(fs.readdirSync(at("programs")).sort()).toEqual(["containerd", "containerd-shim-runc-v2", "ctr"]);
    },
    120_000,
  );
});
