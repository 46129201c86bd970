import { INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import { HttpError } from "../net/failures.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Image } from "../oci/image.ts";
import { parseObject } from "../oci/json.ts";
import { LIMITS } from "../oci/limits.ts";
import { readManifest } from "../oci/manifest.ts";
import { platformManifests } from "../oci/platform.ts";
import { readJsonBlob } from "../oci/store.ts";
import type { LockedImage } from "./lock.ts";
import { notLocal, type Sources } from "./sources.ts";

type ManifestSources = Pick<Sources, "registry" | "staging" | "local" | "offline">;

/**
 * An image's manifest for an architecture, staged and read: the one that the lock pins, or the one that its pinned index
 * names. Everything is verified by its digest. Throws KubestickError.
 */
export async function stageManifest(image: LockedImage, arch: string, sources: ManifestSources): Promise<Image> {
  const { name } = image;
  const pinned = image.manifests[arch] ?? (await fromIndex(image, arch, sources));
  const data = await stageJson(name, pinned, sources);
  const parsed = parseObject(data, name);
  const said = parsed["mediaType"];
  // Docker's manifests all say what they are; OCI's need not.
  const mediaType = pinned.mediaType ?? (typeof said === "string" ? said : OCI_MANIFEST);
  if (!MANIFEST_TYPES.includes(mediaType))
    throw new KubestickError(`what the lock pins of ${name} for ${arch} is of the media type ${mediaType}`, {
      hint: INDEX_TYPES.includes(mediaType) ? "write that digest as the image's index" : undefined,
    });
  const { config, layers } = readManifest(parsed, name);
  const indexes = await publishedIndex(image, sources);
  return {
    name,
    arch,
    ...(indexes.length > 0 ? { indexes } : {}),
    manifest: { mediaType, digest: pinned.digest, size: data.length },
    config,
    layers,
  };
}

/** The index that an image was published in, staged, where it can be had: by its digest the image can be asked for, too. */
async function publishedIndex({ name, index }: LockedImage, sources: ManifestSources): Promise<Descriptor[]> {
  if (index === undefined) return [];
  try {
    const data = await stageJson(name, { digest: index }, sources);
    const mediaType = parseObject(data, name)["mediaType"] ?? OCI_INDEX;
    return typeof mediaType === "string" ? [{ mediaType, digest: index, size: data.length }] : [];
  } catch (error) {
    // Neither what lies on this machine nor a mirror need have it.
    if (sources.offline || (error instanceof HttpError && error.status < 500)) return [];
    throw error;
  }
}

async function fromIndex({ name, index = "" }: LockedImage, arch: string, sources: ManifestSources) {
  const what = `the index of ${name}`;
  const found = platformManifests(await stageJson(name, { digest: index }, sources), what)[arch];
  if (found) return found;
  throw new KubestickError(`${what} (${index}) has nothing for ${arch}`, { hint: "leave that architecture out" });
}

/** A manifest or index by its digest, staged. */
async function stageJson(
  name: string,
  { digest, size }: { digest: string; size?: number },
  { registry, staging, local, offline }: ManifestSources,
): Promise<Buffer> {
  const stores = [staging, ...local.map((content) => content.store)];
  for (const store of stores) {
    const there = store.size(digest);
    if (there === undefined || there > LIMITS.jsonBytes || (size !== undefined && there !== size)) continue;
    const data = readJsonBlob(store, { digest, size: there });
    staging.put("", data);
    return data;
  }
  if (offline) throw notLocal(name);
  const { data } = await registry.manifest(name, digest);
  staging.put("", data);
  return data;
}
