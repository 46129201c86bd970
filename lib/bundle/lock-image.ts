import { INDEX_TYPES } from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { parseObject } from "../oci/json.ts";
import { readManifest } from "../oci/manifest.ts";
import { platformManifests } from "../oci/platform.ts";
import { parseReference } from "../oci/reference.ts";
import type { Registry } from "../oci/registry.ts";
import type { LockedImage, LockedManifest } from "./lock.ts";

/**
 * Asks a registry for an image's manifest of each architecture, through its index where it has one. What is `pinned` is
 * only completed: the pinned index is read, and must name the pinned manifests. Throws KubestickError when something is
 * missing or other than it was pinned.
 */
export async function lockImage(
  registry: Registry,
  text: string,
  architectures: string[],
  pinned: LockedImage = { name: text, manifests: {} },
): Promise<LockedImage> {
  const { name } = parseReference(text);
  const { descriptor, data } = await registry.manifest(name, pinned.index);
  const listed = INDEX_TYPES.includes(descriptor.mediaType)
    ? platformManifests(data, `the index of ${name}`)
    : await singleManifest(registry, name, descriptor, data);
  const manifests = { ...pinned.manifests };
  const differs = ([arch, { digest }]: [string, LockedManifest]) => listed[arch]?.digest !== digest;
  const wrong = pinned.index && Object.entries(manifests).find(differs);
  if (wrong)
    throw new KubestickError(`the pinned index of ${name} names another manifest for ${wrong[0]} than is pinned`, {
      hint: "one of the two digests is wrong: remove that image from the lock, and lock it anew",
    });
  for (const arch of architectures) {
    const found = listed[arch];
    if (found && (manifests[arch]?.digest ?? found.digest) === found.digest)
      manifests[arch] = { mediaType: found.mediaType, digest: found.digest, size: found.size };
  }
  const missing = architectures.filter((arch) => !manifests[arch]);
  if (missing.length > 0)
    throw new KubestickError(`${name} is not there for ${missing.join(" and ")}`, {
      hint: "choose another tag, or leave that architecture out of --arch",
    });
  // An index stands for every architecture, so it must be the one that all that is pinned came from.
  const whole = !Object.entries(manifests).some(differs);
  return {
    name,
    ...(INDEX_TYPES.includes(descriptor.mediaType) && whole ? { index: descriptor.digest } : {}),
    manifests,
  };
}

/** The manifest of an image of one architecture, by the architecture that its config says. */
async function singleManifest(
  registry: Registry,
  name: string,
  descriptor: Descriptor,
  data: Buffer,
): Promise<Record<string, Descriptor>> {
  const { config } = readManifest(parseObject(data, name), name);
  return { [await registry.architecture(name, config)]: descriptor };
}
