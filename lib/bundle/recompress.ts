import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createZstdCompress } from "node:zlib";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../constants/oci.ts";
import { KubestickError, reason } from "../errors.ts";
import { noteGarbage } from "../host/memory.ts";
import { type Descriptor, digestHex, digestOfHex, plainDescriptor, uniqueBlobs } from "../oci/descriptor.ts";
import type { Image } from "../oci/image.ts";
import { parseObject } from "../oci/json.ts";
import type { Staging } from "../oci/staging.ts";
import { readJsonBlob, verifiedStream } from "../oci/store.ts";

/** Higher ones take half as much memory again, and gain a hundredth. */
const LEVEL = 9;
/** Far more than a layer of a Kubernetes image unpacks to; a larger one is a decompression bomb. */
const MAX_LAYER_BYTES = 8 * 1024 ** 3;
/** Programs and libraries become a third; only what is all the same becomes so little. It counts from the size on. */
const MAX_RATIO = 200;
const RATIO_COUNTS_BYTES = 64 * 1024 ** 2;

/** The bytes of all layers before and after they were compressed anew. */
export interface Gain {
  before: number;
  after: number;
}

/** Compresses the layers of all images anew, in their places; `progress` hears which one is at hand, in words. */
export async function recompressAll(
  images: Image[],
  staging: Staging,
  progress: (words: string) => void,
): Promise<Gain> {
  const bytes = () => uniqueBlobs(images.flatMap((image) => image.layers)).reduce((total, { size }) => total + size, 0);
  const before = bytes();
  for (const [i, image] of images.entries()) {
    progress(`Compressing ${image.name} (${i + 1} of ${images.length})`);
    images[i] = await recompress(image, staging);
  }
  return { before, after: bytes() };
}

/**
 * An image with its layers compressed by zstd where that makes them smaller. The layers' contents are checked against
 * the config's `diff_ids`, which stay; the manifest is a new one. Throws KubestickError when a layer is not what the
 * config says.
 */
async function recompress(image: Image, staging: Staging): Promise<Image> {
  const config = parseObject(readJsonBlob(staging, image.config), `${image.name}: its config`);
  const ids = (config["rootfs"] as { diff_ids?: unknown[] } | undefined)?.diff_ids ?? [];
  const layers: Descriptor[] = [];
  for (const [i, layer] of image.layers.entries())
    layers.push(await recompressLayer(image.name, layer, ids[i], staging));
  if (layers.every((layer, i) => layer === image.layers[i])) return image;
  const own = plainDescriptor({ ...image.config, mediaType: OCI_CONFIG });
  // Docker's manifests know no zstd, so all media types become OCI's.
  const toOci = (layer: Descriptor) =>
    plainDescriptor({
      ...layer,
      mediaType: layer.mediaType.endsWith(".gzip")
        ? `${OCI_LAYER}+gzip`
        : layer.mediaType.replace(/^.*docker.*$/, OCI_LAYER),
    });
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: own, layers: layers.map(toOci) };
  return {
    ...image,
    manifest: staging.put(OCI_MANIFEST, Buffer.from(JSON.stringify(manifest))),
    config: own,
    layers,
  };
}

async function recompressLayer(
  name: string,
  layer: Descriptor,
  diffId: unknown,
  staging: Staging,
): Promise<Descriptor> {
  const gzip = /gzip$/.test(layer.mediaType);
  if (/zstd$/.test(layer.mediaType)) return layer;
  const plain = createHash("sha256");
  const most = Math.min(MAX_LAYER_BYTES, Math.max(RATIO_COUNTS_BYTES, MAX_RATIO * layer.size));
  let plainBytes = 0;
  using packed = staging.begin(`zstd-${digestHex(layer.digest)}`);
  try {
    const source = verifiedStream(staging, layer);
    const count = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plainBytes += chunk.length;
        noteGarbage(chunk.length);
        if (plainBytes > most)
          throw new KubestickError(`a layer of ${name} (${layer.size} bytes) unpacks to more than ${most} bytes`, {
            hint: "leave --zstd out if it is meant to: layers are then taken as they are",
          });
        plain.update(chunk);
        yield chunk;
      }
    };
    const write = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) packed.write(chunk);
    };
    const zstd = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
    await (gzip ? pipeline(source, createGunzip(), count, zstd, write) : pipeline(source, count, zstd, write));
    if (typeof diffId === "string" && diffId !== digestOfHex(plain.digest("hex")))
      throw new KubestickError(`a layer of ${name} is not what its config says (${diffId})`);
  } catch (error) {
    packed.discard();
    if (error instanceof KubestickError) throw error;
    throw new KubestickError(`cannot compress a layer of ${name} (${layer.digest}): ${reason(error)}`, {
      cause: error,
    });
  }
  if (packed.size >= layer.size) {
    packed.discard();
    return layer;
  }
  return { mediaType: `${OCI_LAYER}+zstd`, digest: staging.adopt(packed), size: packed.size };
}
