import { posix } from "node:path";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { Region } from "../host/region.ts";
import { compression } from "./compression.ts";
import { type Descriptor, describe, digestOfHex } from "./descriptor.ts";
import type { Image } from "./image.ts";
import { objectList, parseJson, parseObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { architectureOf } from "./manifest.ts";
import { normalName } from "./reference.ts";
import type { BlobStore } from "./store.ts";
import { indexTar, type TarEntry } from "./tar-index.ts";

/** The suffixes of media types for the compressions that a layer may have. */
const LAYER_SUFFIXES: Record<string, string> = { gzip: "+gzip", zstd: "+zstd" };

/** A docker-archive as an image layout has it. */
export interface OpenDockerArchive {
  store: BlobStore;
  images: Image[];
  /** What else is in it, in words. */
  leftOut: string[];
}

/**
 * The images of a docker-archive (`docker save`, `podman save`, `skopeo copy ... docker-archive:`) as an OCI layout: layers
 * as they are, manifests newly made. Throws KubestickError for an archive that is not as it should be.
 */
export function openDockerArchive(region: Region, members: TarEntry[] = indexTar(region)): OpenDockerArchive {
  const { images, blobs, leftOut } = new DockerArchive(region, members);
  return {
    images,
    leftOut,
    store: {
      path: region.path,
      file: () => undefined,
      size: (digest) => blobs.get(digest)?.descriptor.size,
      chunks: (digest) => {
        const from = blobs.get(digest)!.from;
        return Buffer.isBuffer(from) ? [from] : region.chunks(from.offset, from.size);
      },
    },
  };
}

class DockerArchive {
  readonly images: Image[] = [];
  readonly blobs = new Map<string, { descriptor: Descriptor; from: TarEntry | Buffer }>();
  readonly leftOut: string[] = [];
  readonly #entries: Map<string, TarEntry>;
  /** Each member is read once, however many images have it. */
  readonly #layers = new Map<TarEntry, Descriptor>();
  readonly #configs = new Map<TarEntry, { config: Descriptor; arch: string | undefined }>();
  #bytes = 0;

  constructor(
    readonly region: Region,
    members: TarEntry[],
  ) {
    this.#entries = new Map(members.map((entry) => [entry.name.replace(/^\.\//, ""), entry]));
    const what = `${region.path}: manifest.json`;
    const list = parseJson(this.#json(this.#find("manifest.json")), what);
    if (!Array.isArray(list)) throw new KubestickError(`${what} is not a list of images`);
    for (const item of objectList(list, what)) this.#image(item);
  }

  #image(item: Record<string, unknown>): void {
    const { config, arch } = this.#config(this.#find(item["Config"]));
    const names = Array.isArray(item["Layers"]) ? item["Layers"] : [];
    const texts = Array.isArray(item["RepoTags"]) ? item["RepoTags"].filter((tag) => typeof tag === "string") : [];
    const tags = texts.length > 0 ? texts : [""];
    const what = `${this.region.path}: ${tags[0]?.slice(0, 300) || config.digest}`;
    if (arch === undefined) {
      this.leftOut.push(`${what}: an image for another system than Linux`);
      return;
    }
    if (names.length > LIMITS.layers) throw new KubestickError(`${what} has more than ${LIMITS.layers} layers`);
    if (this.images.length + tags.length > LIMITS.images)
      throw new KubestickError(`${this.region.path} has more than ${LIMITS.images} names of images`, {
        hint: "save fewer images in one archive",
      });
    const layers = names.map((name) => this.#layer(this.#find(name)));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers }));
    const manifest = this.#put(describe(OCI_MANIFEST, bytes), bytes);
    for (const tag of tags) {
      const name = normalName(tag);
      this.images.push({
        name: name ?? "",
        ...(name || tag === "" ? {} : { rawName: tag }),
        arch,
        manifest,
        config,
        layers,
      });
    }
  }

  #config(entry: TarEntry): { config: Descriptor; arch: string | undefined } {
    const known = this.#configs.get(entry);
    if (known) return known;
    const data = this.#json(entry);
    const found = {
      config: this.#put(describe(OCI_CONFIG, data), entry),
      arch: architectureOf(parseObject(data, `${this.region.path}: ${entry.name}`)),
    };
    this.#configs.set(entry, found);
    return found;
  }

  #layer(entry: TarEntry): Descriptor {
    let known = this.#layers.get(entry);
    if (!known) {
      const packed = compression(this.region.read(entry.offset, Math.min(entry.size, 6)));
      const suffix = packed === undefined ? "" : LAYER_SUFFIXES[packed.name];
      if (suffix === undefined)
        throw new KubestickError(
          `${this.region.path}: its layer ${entry.name} is compressed with ${packed?.name}, which containerd does not take`,
          { hint: "copy it anew: skopeo copy docker-archive:FILE oci-archive:NEW.tar:NAME:TAG" },
        );
      const digest = digestOfHex(this.region.sha256(entry.offset, entry.size));
      known = this.#put({ mediaType: `${OCI_LAYER}${suffix}`, digest, size: entry.size }, entry);
      this.#layers.set(entry, known);
    }
    return known;
  }

  #find(name: unknown): TarEntry {
    if (typeof name !== "string")
      throw new KubestickError(`${this.region.path}: its manifest.json names a file with something that is no text`);
    const wanted = name.replace(/^\.\//, "");
    let entry = this.#entries.get(wanted);
    // Older versions of Docker link a layer that another image has too.
    if (entry?.type === "symlink") entry = this.#entries.get(posix.join(posix.dirname(wanted), entry.linkTarget));
    if (entry?.type !== "file")
      throw new KubestickError(`${this.region.path} lacks ${wanted.slice(0, 300)}, which its manifest.json names`);
    return entry;
  }

  #json(entry: TarEntry): Buffer {
    this.#bytes += entry.size;
    if (entry.size > LIMITS.jsonBytes || this.#bytes > LIMITS.metadataBytes)
      throw new KubestickError(
        `${this.region.path}: ${entry.name} is larger than it may be (${LIMITS.jsonBytes} bytes)`,
      );
    return Buffer.from(this.region.read(entry.offset, entry.size));
  }

  #put(descriptor: Descriptor, from: TarEntry | Buffer): Descriptor {
    this.blobs.set(descriptor.digest, { descriptor, from });
    return descriptor;
  }
}
