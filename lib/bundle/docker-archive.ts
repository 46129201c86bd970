import { posix } from "node:path";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../constants/oci.ts";
import { KubestickError } from "../host/errors.ts";
import { type Descriptor, describe, objectList, parseObject } from "./descriptor.ts";
import type { Layout, LayoutImage } from "./layout.ts";
import { parseReference } from "./reference.ts";
import type { Region } from "./region.ts";
import { type BlobStore, MAX_JSON_BYTES } from "./store.ts";
import { indexTar, type TarEntry } from "./tar.ts";

/**
 * The images of a docker-archive (`docker save`, `skopeo copy ... docker-archive:`) as an OCI layout: layers as they
 * are, manifests newly made. Throws KubestickError for an archive that is not as it should be.
 */
export function openDockerArchive(region: Region): { store: BlobStore; layout: Layout } {
  const entries = new Map(indexTar(region).map((entry) => [entry.name.replace(/^\.\//, ""), entry]));
  const blobs = new Map<string, { descriptor: Descriptor; from: TarEntry | Buffer }>();
  const put = (descriptor: Descriptor, from: TarEntry | Buffer) => {
    blobs.set(descriptor.digest, { descriptor, from });
    return descriptor;
  };
  const text = (entry: TarEntry) => {
    if (entry.size > MAX_JSON_BYTES) throw new KubestickError(`${region.path}: ${entry.name} is too large`);
    return Buffer.from(region.read(entry.offset, entry.size));
  };
  const find = (name: unknown): TarEntry => {
    let entry = entries.get(String(name));
    // Older versions of Docker link a layer that another image has too.
    if (entry?.type === "symlink") entry = entries.get(posix.join(posix.dirname(entry.name), entry.linkTarget));
    if (entry?.type !== "file")
      throw new KubestickError(`${region.path} lacks ${String(name)}, which its manifest.json names`);
    return entry;
  };
  const layers = new Map<TarEntry, Descriptor>();
  const layer = (name: unknown): Descriptor => {
    const entry = find(name);
    let known = layers.get(entry);
    if (!known) {
      const gzip = region.read(entry.offset, 2).equals(Buffer.from([0x1f, 0x8b]));
      const digest = `sha256:${region.sha256(entry.offset, entry.size)}`;
      known = put({ mediaType: `${OCI_LAYER}${gzip ? "+gzip" : ""}`, digest, size: entry.size }, entry);
      layers.set(entry, known);
    }
    return known;
  };
  const images: LayoutImage[] = [];
  const wrapped = parseObject(
    Buffer.concat([Buffer.from('{"m":'), text(find("manifest.json")), Buffer.from("}")]),
    `${region.path}: manifest.json`,
  );
  for (const item of objectList(wrapped["m"], `${region.path}: manifest.json`)) {
    const configEntry = find(item["Config"]);
    const data = text(configEntry);
    const config = put(describe(OCI_CONFIG, data), configEntry);
    const arch = parseObject(data, `${region.path}: ${configEntry.name}`)["architecture"];
    const list = Array.isArray(item["Layers"]) ? item["Layers"].map(layer) : [];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: list }));
    const manifest = put(describe(OCI_MANIFEST, bytes), bytes);
    const tags = Array.isArray(item["RepoTags"]) && item["RepoTags"].length > 0 ? item["RepoTags"] : [""];
    for (const tag of tags)
      images.push({
        name: tag === "" ? "" : parseReference(String(tag)).name,
        arch: String(arch),
        manifest,
        config,
        layers: list,
      });
  }
  return {
    store: {
      path: region.path,
      file: () => undefined,
      size: (digest) => blobs.get(digest)?.descriptor.size,
      chunks: (digest) => {
        const from = blobs.get(digest)!.from;
        return Buffer.isBuffer(from) ? [from] : region.chunks(from.offset, from.size);
      },
    },
    layout: {
      kubernetesVersion: undefined,
      images,
      binaries: [],
      manifests: [],
      blobs: [...blobs.values()].map((b) => b.descriptor),
    },
  };
}
