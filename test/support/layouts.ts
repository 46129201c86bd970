import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  ANNOTATION_BINARY,
  ANNOTATION_TITLE,
  ANNOTATION_VERSION,
  HOST_BINARIES,
  HOST_BINARY_TGZ,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
} from "../../lib/constants/oci.ts";
import { type Descriptor, digestOf } from "../../lib/oci/descriptor.ts";
import { type Member, tarOf } from "./small-bundle.ts";

/** A descriptor to put into an index or manifest, with whatever else it is to say. */
export type Listed = Descriptor;

/** What an image to make is like; without anything it is a good one for amd64. */
export interface ImageOptions {
  arch?: string;
  os?: string;
  /** What tells one image from another. */
  content?: string;
  layerType?: string;
  configType?: string;
  config?: unknown;
  /** Fields of the manifest besides the usual ones. */
  manifest?: Record<string, unknown>;
}

/** Makes OCI image layouts as other tools write them, or as nobody should. */
export class LayoutMaker {
  readonly blobs = new Map<string, Buffer>();

  /** A bundle's artifact with one host binary, containerd for amd64, out of this archive. */
  containerd(archive: Buffer): Listed {
    const annotations = {
      [ANNOTATION_BINARY]: "containerd",
      [ANNOTATION_TITLE]: "containerd-2.1.9-linux-amd64.tar.gz",
      [ANNOTATION_VERSION]: "v2.1.9",
    };
    const layers = [{ ...this.put(HOST_BINARY_TGZ, archive), annotations }];
    const config = this.put(OCI_EMPTY, "{}");
    const manifest = { schemaVersion: 2, artifactType: HOST_BINARIES, config, layers };
    return forPlatform(this.put(OCI_MANIFEST, manifest), "amd64");
  }

  /** Puts a blob in; objects as JSON. */
  put(mediaType: string, content: Buffer | string | object): Listed {
    const data = Buffer.isBuffer(content)
      ? content
      : Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
    const digest = digestOf(data);
    this.blobs.set(digest, data);
    return { mediaType, digest, size: data.length };
  }

  /** Puts an image in: config, a layer and a manifest. */
  image(options: ImageOptions = {}): Listed {
    const {
      arch = "amd64",
      os = "linux",
      content = arch,
      layerType = `${OCI_LAYER}+gzip`,
      configType = OCI_CONFIG,
    } = options;
    const tar = tarOf([{ name: "hello", data: content }]);
    const layer = this.put(layerType, layerType.endsWith("gzip") ? gzipSync(tar) : tar);
    const config = this.put(
      configType,
      options.config ?? { architecture: arch, os, config: {}, rootfs: { type: "layers", diff_ids: [digestOf(tar)] } },
    );
    return this.put(OCI_MANIFEST, {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config,
      layers: [layer],
      ...options.manifest,
    });
  }

  /** Puts an index in. */
  index(manifests: Listed[], mediaType = OCI_INDEX): Listed {
    return this.put(mediaType, { schemaVersion: 2, mediaType, manifests });
  }

  /** buildx' attestation of an image, as it stands beside it in an index. */
  attestation(image: Listed): Listed {
    const manifest = this.image({
      config: { architecture: "unknown", os: "unknown", config: {}, rootfs: { type: "layers", diff_ids: [] } },
      layerType: "application/vnd.in-toto+json",
      content: image.digest,
    });
    return {
      ...manifest,
      platform: { architecture: "unknown", os: "unknown" },
      annotations: {
        "vnd.docker.reference.digest": image.digest,
        "vnd.docker.reference.type": "attestation-manifest",
      },
    };
  }

  /** The layout's members with these descriptors in its index, without the blobs that are to be missing. */
  members(top: Listed[], missing: Listed[] = []): Member[] {
    const without = new Set(missing.map(({ digest }) => digest));
    return [
      { name: "oci-layout", data: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
      { name: "index.json", data: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: top }) },
      ...[...this.blobs]
        .filter(([digest]) => !without.has(digest))
        .map(([digest, data]) => ({ name: `blobs/sha256/${digest.slice(7)}`, data })),
    ];
  }

  /** Writes the layout as a tar; gives its path. */
  tar(path: string, top: Listed[], missing: Listed[] = []): string {
    fs.writeFileSync(path, tarOf(this.members(top, missing)));
    return path;
  }

  /** Writes the layout as a directory; gives its path. */
  directory(path: string, top: Listed[], missing: Listed[] = []): string {
    for (const { name, data } of this.members(top, missing)) {
      fs.mkdirSync(dirname(join(path, name)), { recursive: true });
      fs.writeFileSync(join(path, name), data!);
    }
    return path;
  }
}

/** A descriptor with the name that containerd, Docker, nerdctl and buildx give it, and the tag that they write beside it. */
export const named = (listed: Listed, name: string): Listed => ({
  ...listed,
  annotations: {
    "io.containerd.image.name": name,
    "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
  },
});

/** A descriptor with the reference that skopeo and podman give it. */
export const referred = (listed: Listed, reference: string): Listed => ({
  ...listed,
  annotations: { "org.opencontainers.image.ref.name": reference },
});

/** A descriptor for a platform. */
export const forPlatform = (listed: Listed, architecture: string, variant?: string, os = "linux"): Listed => ({
  ...listed,
  platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
});
