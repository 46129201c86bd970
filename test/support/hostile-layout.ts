import {
  HOST_BINARIES,
  HOST_BINARY_RAW,
  HOST_BINARY_TGZ,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  USER_YAML,
  USER_YAML_FILES,
} from "../../lib/constants/oci.ts";
import { oddMembers, rawMember } from "./hostile-tar.ts";
import { DIGEST, heavyJson, MAX_BYTES, spoil, yaml } from "./hostile-values.ts";
import { LayoutMaker, type Listed } from "./layouts.ts";
import type { Random } from "./random.ts";

/** The end mark of a tar. */
export const END = Buffer.alloc(1024);

/** The blobs and the index of a hostile layout. */
export class HostileLayout extends LayoutMaker {
  constructor(readonly random: Random) {
    super();
  }

  /** As `put`, but now and then with something changed. */
  spoiled(mediaType: string, value: object): Listed {
    const { random } = this;
    if (random.chance(0.1)) return this.put(mediaType, heavyJson(random));
    return this.put(mediaType, random.chance(0.4) ? ((spoil(random, value) as object) ?? "null") : value);
  }

  spoiledImage(): Listed {
    const { random } = this;
    const config = this.spoiled("application/vnd.oci.image.config.v1+json", {
      architecture: random.pick(["amd64", "arm64", "../../x", ""]),
      os: "linux",
      pad: "p".repeat(random.chance(0.1) ? random.size(3_900_000) : 0),
      rootfs: { type: "layers", diff_ids: [DIGEST] },
    });
    const layer = this.put(random.pick([OCI_LAYER, `${OCI_LAYER}+gzip`, "x/y"]), Buffer.alloc(random.size(5_000), 1));
    const layers = Array<Listed>(random.chance(0.1) ? random.size(15_000) : 1).fill(layer);
    return this.spoiled(OCI_MANIFEST, { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
  }

  artifact(): Listed {
    const { random } = this;
    const config = this.put(OCI_EMPTY, "{}");
    const title = random.pick([
      "runc.amd64",
      "../../../escaped",
      "/tmp/kubestick-escaped",
      "a/b",
      ".",
      "x".repeat(300),
      "\x1b]0;x",
    ]);
    const isUsers = random.chance(0.3);
    const file = {
      ...(isUsers ? this.put(USER_YAML, yaml(random)) : this.put(random.pick([HOST_BINARY_RAW, HOST_BINARY_TGZ]), "x")),
      annotations: {
        "dev.kubestick.host-binary": random.pick(["runc", "containerd", "../x", "kubelet"]),
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": random.pick(["v1.2.3", "v", "../../x"]),
      },
    };
    const layers = Array(random.chance(0.2) ? random.size(3_000) : 1).fill(file);
    const manifest = this.spoiled(OCI_MANIFEST, {
      schemaVersion: 2,
      artifactType: isUsers ? USER_YAML_FILES : HOST_BINARIES,
      config,
      layers,
    });
    return {
      ...manifest,
      platform: { architecture: random.pick(["amd64", "../../../escaped", "riscv64"]), os: "linux" },
    };
  }

  /** Indexes in each other, each listing the one below many times. */
  cascade(): Listed {
    const { random } = this;
    let listed: Listed = {
      ...this.image(),
      ...(random.chance(0.5) ? { platform: { architecture: "amd64", os: "linux" } } : {}),
    };
    for (let depth = random.below(8); depth >= 0; depth--)
      listed = this.put(OCI_INDEX, { schemaVersion: 2, manifests: Array(1 + random.size(3_000)).fill(listed) });
    return listed;
  }

  many(): Listed[] {
    const { random } = this;
    const one = random.pick([
      () => this.image(),
      () => this.spoiledImage(),
      () => this.artifact(),
      () => this.cascade(),
    ])();
    return Array.from({ length: random.size(18_000) }, (_, i) => ({
      ...one,
      ...(random.chance(0.9)
        ? { annotations: { "io.containerd.image.name": `e.test/a:${random.chance(0.9) ? i : 0}` } }
        : {}),
    }));
  }

  distinct(): Listed[] {
    const { random } = this;
    const pad = "p".repeat(random.size(200_000));
    const count = random.size(Math.min(6_000, MAX_BYTES / (pad.length + 1_500)));
    return Array.from({ length: count }, (_, i) => ({
      ...this.image({ content: String(i), manifest: { pad } }),
      annotations: { "org.opencontainers.image.ref.name": `e.test/a:${i}` },
    }));
  }

  odd(): Listed {
    const { random } = this;
    const annotations: Record<string, string> = {
      "io.containerd.image.name": random.pick([
        "e.test/a:1",
        "A B",
        "",
        "x".repeat(random.size(100_000)),
        "a@b",
        "\x1b[31m",
      ]),
      ...(random.chance(0.3)
        ? {
            "dev.kubestick.indexes": random.pick([
              DIGEST,
              "",
              ",".repeat(random.size(100_000)),
              [...this.blobs.keys()].join(),
              "../x",
            ]),
          }
        : {}),
    };
    return {
      ...random.pick([() => this.image(), () => this.spoiledImage(), () => this.artifact(), () => this.cascade()])(),
      annotations,
    };
  }

  top(): { index: unknown; text?: string } {
    const { random } = this;
    if (random.chance(0.1)) return { index: {}, text: heavyJson(random) };
    const listed = random.pick([
      () => this.many(),
      () => this.distinct(),
      () => Array.from({ length: 1 + random.below(4) }, () => this.odd()),
    ])();
    const index = {
      schemaVersion: 2,
      manifests: listed,
      annotations: {
        "dev.kubestick.kubernetes-version": random.pick(["v1.36.2", "../../x", "v1.2", "\x1b[1m", "v9999999.1.1"]),
      },
    };
    return { index: random.chance(0.3) ? spoil(random, index) : index };
  }

  hostileMembers(): { name: string; data: Buffer | string }[] {
    const { index, text } = this.top();
    const listed = [
      {
        name: "oci-layout",
        data: this.random.chance(0.95) ? '{"imageLayoutVersion":"1.0.0"}' : heavyJson(this.random),
      },
      { name: "index.json", data: text ?? JSON.stringify(index) ?? "null" },
      ...[...this.blobs].map(([digest, data]) => ({ name: `blobs/sha256/${digest.slice(7)}`, data })),
    ];
    return this.random.chance(0.1) ? listed.filter(() => this.random.chance(0.9)) : listed;
  }
}

/** A tar of an OCI layout, hostile in its JSON, its members, or both. */
export function layoutTar(random: Random): Buffer {
  const parts = new HostileLayout(random).hostileMembers().map(({ name, data }) => rawMember({ name }, data));
  if (random.chance(0.3)) parts.splice(random.below(parts.length + 1), 0, oddMembers(random));
  if (random.chance(0.05)) parts.push(parts[random.below(parts.length)]!);
  const whole = Buffer.concat([...parts, END]);
  return random.chance(0.1) ? whole.subarray(0, random.below(whole.length)) : whole;
}
