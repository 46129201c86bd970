import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { unpackBinary } from "../../lib/binaries/unpack.ts";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import {
  HOST_BINARIES,
  HOST_BINARY_RAW,
  OCI_EMPTY,
  OCI_MANIFEST,
  USER_YAML,
  USER_YAML_FILES,
} from "../../lib/constants/oci.ts";
import { KubestickError } from "../../lib/errors.ts";
import { tryRun } from "../../lib/host/process.ts";
import { Region } from "../../lib/host/region.ts";
import { digestOf } from "../../lib/oci/descriptor.ts";
import { openDockerArchive } from "../../lib/oci/docker-archive.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { kubestickHere } from "../support/here.ts";
import { forPlatform, LayoutMaker } from "../support/layouts.ts";
import { smallBundle, tarOf } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-bad-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const OTHER = ARCH === "arm64" ? "amd64" : "arm64";

const good = fs.readFileSync(smallBundle(at("good.tar"), { arch: ARCH }));
const members = good.indexOf("index.json");
const put = (name: string, data: Buffer) => {
  fs.writeFileSync(at(name), data);
  return at(name);
};
const flipped = (position: number) => {
  const copy = Buffer.from(good);
  copy[position]! ^= 1;
  return copy;
};

/** A bundle whose first members are not what a layout has. */
const withMember = (member: Parameters<typeof tarOf>[0][number]) =>
  Buffer.concat([tarOf([member]).subarray(0, -1024), good]);

const BAD: [string, () => string, RegExp][] = [
  ["cut short", () => put("cut.tar", good.subarray(0, good.length - 3000)), /longer than the file|without an end mark/],
  ["cut to nothing", () => put("empty.tar", Buffer.alloc(0)), /without an end mark/],
  ["with a bit flipped in a layer", () => put("flip.tar", flipped(good.indexOf("world"))), /damaged: blob sha256:/],
  ["with a bit flipped in a header", () => put("header.tar", flipped(members + 2)), /checksum is wrong/],
  [
    "for another architecture",
    () => smallBundle(at("other.tar"), { arch: OTHER }),
    new RegExp(`is for ${OTHER}, and this host is ${ARCH}`),
  ],
  [
    "with a path out of the layout",
    () => put("path.tar", withMember({ name: "../../etc/cron.d/x", data: "x" })),
    /a file named "\.\.\/\.\.\/etc\/cron\.d\/x"/,
  ],
  ["with an absolute path", () => put("absolute.tar", withMember({ name: "/etc/passwd", data: "x" })), /a file named/],
  [
    "with a symbolic link",
    () =>
      put(
        "link.tar",
        withMember({ name: `blobs/sha256/${"a".repeat(64)}`, type: "SymbolicLink", linkTarget: "/etc/shadow" }),
      ),
    /a symlink named/,
  ],
  [
    "with a hard link",
    () => put("hard.tar", withMember({ name: "index.json", type: "Link", linkTarget: "/etc/shadow" })),
    /a special file named/,
  ],
  [
    "with a device",
    () => put("device.tar", withMember({ name: "oci-layout", type: "CharacterDevice" })),
    /a special file named/,
  ],
  [
    "with an index too large",
    () => put("bomb.tar", withMember({ name: "index.json", data: Buffer.alloc(9 * 1024 * 1024) })),
    /twice|too large/,
  ],
  [
    "with a layer of another media type",
    () => smallBundle(at("media.tar"), { arch: ARCH, layerType: "application/x-sh" }),
    /media type "application\/x-sh"/,
  ],
  ["that is no tar", () => put("text.tar", Buffer.alloc(4096, "hello ")), /no tar/],
  ["that is another program", () => "/bin/true", /carries no bundle/],
  ["that is not there", () => at("none.tar"), /cannot read .*none\.tar/],
];

for (const [what, make, message] of BAD) {
  test(`a bundle ${what} is refused before anything changes`, () => {
    const root = at(`root-${Math.random()}`);
    fs.mkdirSync(root);
    const out = tryRun(
      KUBESTICK[0]!,
      [...KUBESTICK.slice(1), "init", "--bundle", make(), "--dry-run", "--rootfs", root],
      30_000,
    );
    expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 1, stderr: expect.stringMatching(message) });
    expect(out.stderr).not.toMatch(/\n\s+at /);
    expect(fs.readdirSync(root)).toEqual([]);
  });
}

test("a good one is taken, and says what it would do", () => {
  const root = at("root-good");
  fs.mkdirSync(root);
  const out = tryRun(
    KUBESTICK[0]!,
    [...KUBESTICK.slice(1), "init", "--bundle", at("good.tar"), "--dry-run", "--rootfs", root],
    30_000,
  );
  expectDone(out);
  expect(out.stdout).toContain("Would import 1 images");
  expect(fs.readFileSync(join(root, "etc/sysctl.d/99-kubestick.conf"), "utf8")).toContain("net.ipv4.ip_forward = 1");
  expect(fs.readFileSync(join(root, "etc/containerd/config.toml"), "utf8")).toContain("registry.k8s.io/pause:3.10.2");
});

const PROGRAMS = ["containerd", "containerd-shim-runc-v2", "ctr"];

test("10,000 mutated bundles and archives: refused or read, never a crash, nothing written elsewhere, bounded memory", async () => {
  const docker = tarOf([
    { name: "c.json", data: JSON.stringify({ architecture: ARCH }) },
    { name: "l/layer.tar", data: tarOf([{ name: "a", data: "b" }]) },
    {
      name: "manifest.json",
      data: JSON.stringify([{ Config: "c.json", RepoTags: ["a/b:c"], Layers: ["l/layer.tar"] }]),
    },
  ]);
  const random = generator(20261124);
  const before = process.memoryUsage.rss();
  const programs = tarOf(PROGRAMS.map((name) => ({ name: `bin/${name}`, data: name.repeat(500) })));
  const place = at("fuzz/programs");
  fs.mkdirSync(place, { recursive: true });
  let [refused, read] = [0, 0];
  for (let i = 0; i < 10_000; i++) {
    const base = [good, good, docker, programs][i % 4]!;
    const input = mutate(base, random);
    const path = at("mutant.tar");
    fs.writeFileSync(path, input);
    try {
      if (base === docker) {
        const region = Region.open(path);
        try {
          openDockerArchive(region);
        } finally {
          region.close();
        }
      } else if (base === programs) {
        // Half of them are damaged as a gzip stream, half inside it.
        const packed = i % 8 === 3 ? gzipSync(input) : mutate(gzipSync(programs), random);
        const blob = { mediaType: "", digest: digestOf(packed), size: packed.length };
        const store = { path, file: () => undefined, size: () => packed.length, chunks: () => [packed] };
        const entry = {
          name: "containerd",
          version: "v1",
          arch: ARCH,
          title: "containerd.tar.gz",
          archive: true,
          blob,
        };
        await unpackBinary(store, entry, hostBinaryKind("containerd")!, (name) => join(place, name));
      } else {
        const bundle = Bundle.open(path);
        try {
          bundle.verify();
        } finally {
          bundle.close();
        }
      }
      read++;
    } catch (error) {
      if (!(error instanceof KubestickError)) throw new Error(`mutant ${i}: ${(error as Error).stack}`);
      refused++;
    }
  }
  expect(fs.readdirSync(at("fuzz"))).toEqual(["programs"]);
  expect(fs.readdirSync(place).filter((name) => !PROGRAMS.includes(name))).toEqual([]);
  expect(refused + read).toBe(10_000);
  expect(refused).toBeGreaterThan(5_000);
  expect((process.memoryUsage.rss() - before) / 1024 / 1024).toBeLessThan(128);
});

test("archives of programs cannot write outside their place, whatever their members are called", async () => {
  const evil = [
    { name: "../../../escaped", data: "x" },
    { name: "/tmp/kubestick-escaped", data: "x" },
    { name: "bin/../../../escaped", data: "x" },
    { name: "bin", type: "SymbolicLink" as const, linkTarget: work },
    { name: "bin/containerd", data: "good" },
    { name: "bin/containerd-shim-runc-v2", data: "good" },
    { name: "bin/ctr", data: "good" },
  ];
  const place = at("programs");
  fs.mkdirSync(place);
  const bundle = Bundle.open(smallBundle(at("evil.tar"), { arch: ARCH, archive: gzipSync(tarOf(evil)) }));
  const binary = bundle.binaries.find((b) => b.name === "containerd")!;
  const written = await unpackBinary(bundle.store, binary, hostBinaryKind("containerd")!, (name) => join(place, name));
  expect(written.sort()).toEqual(PROGRAMS.map((name) => join(place, name)));
  expect(fs.readdirSync(place).sort()).toEqual(PROGRAMS);
  expect(fs.existsSync("/tmp/kubestick-escaped")).toBe(false);
  bundle.close();
  // A link in a program's place is no program.
  const linked = gzipSync(tarOf([...evil.slice(4, 5), { ...evil[3]!, name: "bin/ctr" }, evil[5]!]));
  const link = Bundle.open(smallBundle(at("linked.tar"), { arch: ARCH, archive: linked }));
  const one = link.binaries.find((b) => b.name === "containerd")!;
  await expect(
    unpackBinary(link.store, one, hostBinaryKind("containerd")!, (name) => join(at("none"), name)),
  ).rejects.toThrow("has no bin/ctr");
  link.close();
  // An archive cut in the middle leaves nothing behind.
  const archive = gzipSync(tarOf([{ name: "bin/containerd", data: Buffer.alloc(300_000, 7) }])).subarray(0, 300);
  const cut = Bundle.open(smallBundle(at("half.tar"), { arch: ARCH, archive }));
  const half = cut.binaries.find((b) => b.name === "containerd")!;
  await expect(
    unpackBinary(cut.store, half, hostBinaryKind("containerd")!, (name) => join(at("none"), name)),
  ).rejects.toThrow(KubestickError);
  expect(fs.existsSync(at("none")) ? fs.readdirSync(at("none")) : []).toEqual([]);
  cut.close();
});

test("extract cannot write outside its directory, whatever a bundle calls its files and architectures", async () => {
  const make = (arch: string, title: string, users = false) => {
    const maker = new LayoutMaker();
    const annotations = {
      "dev.kubestick.host-binary": "runc",
      "org.opencontainers.image.title": title,
      "org.opencontainers.image.version": "v1.3.6",
    };
    const file = { ...maker.put(users ? USER_YAML : HOST_BINARY_RAW, "kind: x\n"), annotations };
    const artifactType = users ? USER_YAML_FILES : HOST_BINARIES;
    const config = maker.put(OCI_EMPTY, "{}");
    const manifest = maker.put(OCI_MANIFEST, { schemaVersion: 2, artifactType, config, layers: [file] });
    return maker.tar(at("paths.tar"), [forPlatform(manifest, arch)]);
  };
  const place = at("paths/place");
  fs.mkdirSync(at("paths"));
  for (const [arch, title, users] of [
    ["../../../escaped", "runc", false],
    ["/tmp/kubestick-escaped", "runc", false],
    ["amd64", "../../../escaped", false],
    ["amd64", "/tmp/kubestick-escaped", false],
    ["amd64", "..", false],
    ["amd64", "a/b", true],
    ["amd64", "../escaped.yaml", true],
  ] as const) {
    const out = await kubestickHere("bundle", "extract", make(arch, title, users), place);
    expect([arch, title, out.status]).toEqual([arch, title, 1]);
    expect(out.stderr).toMatch(/which is no plain name|has no name, version, title or platform/);
    expect(fs.readdirSync(at("paths")).filter((name) => name !== "place")).toEqual([]);
    expect(fs.existsSync("/tmp/kubestick-escaped")).toBe(false);
  }
  expect(await kubestickHere("bundle", "extract", make("amd64", "runc.amd64"), place)).toMatchObject({ status: 0 });
  expect(fs.readdirSync(join(place, "bin/amd64"))).toEqual(["runc.amd64"]);
});

/** Changes bytes, cuts, repeats or swaps stretches; checksums are made right again half of the time, to get further. */
function mutate(base: Buffer, random: () => number): Buffer {
  let out = Buffer.from(base);
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
    const at = Math.floor(random() * out.length);
    switch (Math.floor(random() * 6)) {
      case 0:
        out[at]! ^= 1 << Math.floor(random() * 8);
        break;
      case 1:
        out[at] = Math.floor(random() * 256);
        break;
      case 2:
        out = out.subarray(0, at);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(Math.max(0, at - 512))]);
        break;
      case 4: {
        // A field of a header: name, mode, size, type or link.
        const header = Math.floor(at / 512) * 512;
        const [offset, length] = [
          [0, 100],
          [100, 8],
          [124, 12],
          [156, 1],
          [157, 100],
          [257, 8],
        ][Math.floor(random() * 6)]!;
        for (let i = 0; i < length! && header + offset! + i < out.length; i++)
          if (random() < 0.2) out[header + offset! + i] = Math.floor(random() * 256);
        break;
      }
      default: {
        // A digit or letter inside JSON.
        const json = out.indexOf("{", at);
        if (json >= 0)
          out[Math.min(out.length - 1, json + Math.floor(random() * 200))] = 32 + Math.floor(random() * 95);
      }
    }
    if (out.length === 0) break;
  }
  if (random() < 0.5) for (let at = 0; at + 512 <= out.length; at += 512) fixChecksum(out.subarray(at, at + 512));
  return out;
}

function fixChecksum(block: Buffer): void {
  if (block.subarray(257, 262).toString("latin1") !== "ustar") return;
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** The same numbers each time (mulberry32), so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
