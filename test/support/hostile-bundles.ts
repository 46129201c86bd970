import * as fs from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encodeTrailer } from "../../lib/bundle/trailer.ts";
import { OCI_LAYER, OCI_MANIFEST } from "../../lib/constants/oci.ts";
import { END, HostileLayout, layoutTar } from "./hostile-layout.ts";
import { oddMembers, paxHeader, rawHeader, rawMember } from "./hostile-tar.ts";
import { DIGEST, heavyJson, MAX_BYTES, spoil, yaml } from "./hostile-values.ts";
import { LayoutMaker } from "./layouts.ts";
import type { Random } from "./random.ts";
import { tarOf } from "./small-bundle.ts";

function dockerArchive(random: Random): Buffer {
  const many = random.size(400_000);
  const config = random.chance(0.8)
    ? JSON.stringify({ architecture: random.pick(["amd64", "x/../y", 5]), os: "linux" })
    : heavyJson(random);
  const item = {
    Config: "c.json",
    RepoTags: random.pick<unknown>([
      ["a/b:c"],
      Array.from({ length: many }, (_, i) => `e.test/a:${i}`),
      Array(many).fill("a"),
      null,
      [null, 5, {}],
      ["A B"],
    ]),
    Layers: random.pick<unknown>([
      ["l/layer.tar"],
      Array(random.size(100_000)).fill("l/layer.tar"),
      ["link"],
      [null, 5],
      "l/layer.tar",
      ["../../etc/passwd"],
    ]),
  };
  const list = random.pick<unknown>([
    [item],
    Array(random.size(Math.min(10_000, MAX_BYTES / (JSON.stringify(item).length + 1)))).fill(item),
    [spoil(random, item)],
    spoil(random, [item]),
  ]);
  const manifest = random.chance(0.1) ? heavyJson(random) : (JSON.stringify(list) ?? "null");
  return Buffer.concat([
    rawMember({ name: "c.json" }, config),
    rawMember({ name: "l/layer.tar" }, Buffer.alloc(random.size(100_000), random.pick([0, 1]))),
    rawMember({ name: "link", type: "2", linkTarget: random.pick(["link", "l/layer.tar", "/etc/passwd", "../../x"]) }),
    ...(random.chance(0.3) ? [oddMembers(random)] : []),
    rawMember({ name: "manifest.json" }, manifest.slice(0, MAX_BYTES)),
    END,
  ]);
}

/** Zeros packed as gzip a piece at a time: a thousandth of their length. */
function packedZeros(bytes: number): Buffer {
  const piece = gzipSync(Buffer.alloc(16 * 1024 * 1024), { level: 9 });
  return Buffer.concat(Array<Buffer>(Math.ceil(bytes / (16 * 1024 * 1024))).fill(piece));
}

/** A host binary's archive, packed. */
function packedPrograms(random: Random): Buffer {
  const programs = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"].map((name) =>
    rawMember({ name }, "program"),
  );
  if (random.chance(0.5)) programs.splice(random.below(4), 0, oddMembers(random));
  const body = Buffer.concat(programs);
  const big = random.size(3 * 2 ** 30);
  return random.pick([
    () => gzipSync(Buffer.concat([body, END])),
    () => Buffer.concat([gzipSync(Buffer.concat([body, END])), packedZeros(big)]),
    () =>
      Buffer.concat([gzipSync(Buffer.concat([body, END])), Buffer.alloc(random.size(MAX_BYTES), random.pick([0, 65]))]),
    () =>
      Buffer.concat([
        gzipSync(Buffer.concat([body, rawHeader({ name: random.pick(["bin/ctr", "x"]), size: big })])),
        packedZeros(big),
        gzipSync(END),
      ]),
    () => Buffer.concat(Array<Buffer>(random.size(100_000)).fill(gzipSync(rawHeader({ name: "x" })))),
    () => gzipSync(Buffer.concat(Array<Buffer>(random.size(40_000)).fill(rawHeader({ name: "x" })))),
    () => gzipSync(Buffer.concat([paxHeader({ path: "bin/ctr" }), body, END])),
    () => zstdCompressSync(body),
    () => gzipSync(body).subarray(0, random.below(200)),
    () => Buffer.alloc(random.size(100_000), 7),
  ])();
}

/** A bundle with a host binary's archive that is hostile. */
function binaryBundle(random: Random): Buffer {
  const maker = new LayoutMaker();
  return tarOf(maker.members([maker.containerd(packedPrograms(random))]));
}

function lockText(random: Random): string {
  const lock = {
    apiVersion: "bundle.kubestick.dev/v1alpha1",
    kind: "BundleLock",
    kubernetesVersion: "v1.36.2",
    images: [
      {
        name: "registry.k8s.io/pause:3.10.1",
        manifests: { amd64: { mediaType: OCI_MANIFEST, digest: DIGEST, size: 500 } },
      },
    ],
    binaries: [
      { name: "runc", version: "v1", files: { amd64: { url: "https://e.test/runc.amd64", sha256: "0".repeat(64) } } },
    ],
  };
  if (random.chance(0.2)) return yaml(random);
  let spoiled: unknown = lock;
  for (let times = 1 + random.below(3); times > 0; times--) spoiled = spoil(random, spoiled);
  return JSON.stringify(spoiled) ?? "";
}

function credentialsText(random: Random): string {
  if (random.chance(0.3)) return heavyJson(random);
  const config = {
    auths: { "127.0.0.1": { auth: "dTpw" }, "docker.io": { username: "u", password: "p" } },
    credHelpers: { "x.test": "y" },
    credsStore: "z",
  };
  return JSON.stringify(spoil(random, spoil(random, config))) ?? "";
}

/** An executable with a bundle whose trailer is as it pleases. */
function executable(random: Random): Buffer {
  const program = Buffer.alloc(4096);
  program.write("\x7fELF\x02\x01", "latin1");
  program.writeUInt16LE(62, 18);
  program.write("\n---- Bun! ----\n", 4000);
  const bundle = random.chance(0.5) ? layoutTar(random) : Buffer.alloc(random.size(10_000));
  const honest = { offset: program.length, length: bundle.length };
  const trailer = encodeTrailer(
    random.pick([
      honest,
      { offset: 0, length: program.length + bundle.length },
      { ...honest, length: 2 ** 52 },
      { offset: 2 ** 40, length: 0 },
    ]),
  );
  if (random.chance(0.2)) trailer[random.below(64)] = random.below(256);
  return Buffer.concat([program, bundle, trailer]);
}

/** A directory for --from with what should not be in one. */
function directory(random: Random, dir: string): string {
  const maker = new HostileLayout(random);
  const at = (name: string) => join(dir, name);
  fs.mkdirSync(dir, { recursive: true });
  const steps: (() => void)[] = [
    () => fs.writeFileSync(at("layout.tar"), layoutTar(random)),
    () => fs.writeFileSync(at("docker.tar"), dockerArchive(random)),
    () => fs.writeFileSync(at("containerd-2.1.9-linux-amd64.tar.gz"), packedPrograms(random)),
    () => fs.writeFileSync(at("kubelet"), executable(random)),
    () => fs.symlinkSync(random.pick(["/dev/zero", "/nowhere", ".", "loop", "/proc/self/mem"]), at("loop")),
    () => fs.mkdirSync(at("a/b/c/d/e/f/g"), { recursive: true }),
    () => Array.from({ length: random.size(1_500) }, (_, i) => fs.writeFileSync(at(`f${i}`), "x")),
    () => fs.writeFileSync(at("version"), "Directory Transport Version: 1.1\n"),
    () => {
      for (const { name, data } of maker.hostileMembers()) {
        const path = join(dir, "layout", name);
        fs.mkdirSync(join(path, ".."), { recursive: true });
        if (random.chance(0.97)) fs.writeFileSync(path, data);
        else if (random.chance(0.5)) fs.symlinkSync(random.pick(["/dev/zero", "/dev/stdin", "."]), path);
        else fs.mkdirSync(path);
      }
    },
  ];
  for (let times = 1 + random.below(3); times > 0; times--) {
    try {
      random.pick(steps)();
    } catch (error) {
      if (!["EEXIST", "ENOTDIR", "EISDIR"].includes((error as { code?: string }).code ?? "")) throw error;
    }
  }
  return dir;
}

/** A hostile thing in a file or directory, and what can be done with it: the arguments of kubestick. */
export interface Hostile {
  kind: string;
  path: string;
  commands: string[][];
}

/** What the commands need besides: a small good bundle, an executable, and a directory to write to. */
export interface Surroundings {
  good: string;
  executable: string;
  out: string;
}

const write = (path: string, data: Buffer | string) => {
  fs.writeFileSync(path, data);
  return path;
};

/** Makes something hostile of a random kind at a path. */
export function hostile(random: Random, path: string, { good, executable: program, out }: Surroundings): Hostile {
  const target = join(out, "made.tar");
  const create = (...more: string[]) => ["bundle", "create", target, "--offline", "--arch", "amd64,arm64", ...more];
  const bundle = [
    ["bundle", "inspect", path],
    ["bundle", "list", path, "-o", "json"],
    ["bundle", "verify", path],
    ["bundle", "extract", path, join(out, "extracted")],
    ["bundle", "load", path, "--images-only"],
    ["bundle", "attach", path, "--executable", program, "--file", join(out, "attached")],
    ["init", "--bundle", path, "--dry-run", "--rootfs", join(out, "root")],
    create("--from", path),
  ];
  const kinds: [string, () => string, string[][]][] = [
    ["layout", () => write(path, layoutTar(random)), bundle],
    ["layout", () => write(path, layoutTar(random)), bundle],
    ["executable", () => write(path, executable(random)), bundle],
    ["docker-archive", () => write(path, dockerArchive(random)), [create("--from", path)]],
    [
      "programs",
      () => write(path, binaryBundle(random)),
      [["unpack", path, join(out, "programs")], create("--from", path)],
    ],
    ["zstd", () => write(path, zstdLayout(random)), [create("--from", path, "--zstd")]],
    ["directory", () => directory(random, path), [create("--from", path)]],
    ["lock", () => write(path, lockText(random)), [create("--lock", path, "--from", good)]],
    ["credentials", () => write(path, credentialsText(random)), [create("--from", good, "--registry-config", path)]],
    ["manifest", () => write(path, yaml(random)), [create("--from", good, "--manifest", path)]],
  ];
  const [kind, make, commands] = random.pick(kinds);
  make();
  return { kind, path, commands };
}

/** What a registry should not answer. */
export function hostileAnswer(random: Random): Response {
  const OCI = "application/vnd.oci.image.index.v1+json";
  const types = [
    OCI,
    "application/vnd.oci.image.manifest.v1+json",
    "text/html",
    "application/vnd.docker.distribution.manifest.v1+json",
    "x".repeat(1_000),
    "",
  ];
  const headers = { "content-type": random.pick(types) };
  const layout = new HostileLayout(random);
  return random.pick([
    () => new Response(heavyJson(random), { headers }),
    () => new Response(JSON.stringify(layout.top().index) ?? "", { headers }),
    () =>
      new Response(
        JSON.stringify(
          spoil(random, {
            mediaType: OCI,
            manifests: [
              { mediaType: OCI_MANIFEST, digest: DIGEST, size: 5, platform: { architecture: "amd64", os: "linux" } },
            ],
          }),
        ),
        { headers },
      ),
    () => new Response(Buffer.alloc(random.size(MAX_BYTES), 32), { headers }),
    () => new Response("", { status: random.pick([204, 206, 301, 400, 401, 403, 404, 405, 451]), headers }),
    () =>
      new Response("", {
        status: 302,
        headers: {
          location: random.pick(["/", "http://[", "file:///x", "//", "http://127.0.0.1:1/", "javascript:x", "\u00ff"]),
        },
      }),
    () =>
      new Response("", {
        status: 401,
        headers: {
          "www-authenticate": random.pick([
            "Basic",
            "Bearer",
            'Bearer realm="',
            'Bearer realm="http://["',
            'Bearer realm="/token"',
            'Bearer realm="file:///x"',
            `Bearer ${"a=b,".repeat(2_000)}`,
            "Negotiate",
            "",
          ]),
        },
      }),
    () => Response.json({ token: random.pick(ODD_TOKENS) }),
  ])();
}

const ODD_TOKENS: unknown[] = [null, 5, "", "a b", "a\r\nX: y", "x".repeat(100_000), {}];

/** A layout with a layer that unpacks to far more than it has, or to something else than its config says. */
function zstdLayout(random: Random): Buffer {
  const maker = new LayoutMaker();
  const packed = random.pick([
    () => packedZeros(random.size(3 * 2 ** 30)),
    () => Buffer.alloc(random.size(100_000), 7),
    () => gzipSync("x").subarray(0, 5),
    () => Buffer.concat([gzipSync("x"), Buffer.alloc(random.size(MAX_BYTES))]),
  ])();
  const layer = maker.put(
    random.pick([`${OCI_LAYER}+gzip`, `${OCI_LAYER}+gzip`, OCI_LAYER, `${OCI_LAYER}+zstd`]),
    packed,
  );
  const diffIds = random.pick<unknown>([[DIGEST], [], null, "x", [5]]);
  const config = maker.put("application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    rootfs: { diff_ids: diffIds },
  });
  const manifest = maker.put(OCI_MANIFEST, { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] });
  return tarOf(maker.members([{ ...manifest, annotations: { "io.containerd.image.name": "e.test/a:1" } }]));
}
