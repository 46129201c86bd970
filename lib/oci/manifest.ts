import { KubestickError } from "../errors.ts";
import type { Plain } from "../yaml/plain.ts";
import { type Descriptor, readDescriptor } from "./descriptor.ts";
import { objectList } from "./json.ts";
import { LIMITS } from "./limits.ts";

/** What the manifest of an image or of another artifact lists (OCI image-spec 1.1 manifest.md), checked. */
export interface Manifest {
  artifactType: string | undefined;
  config: Descriptor;
  layers: Descriptor[];
}

/** Reads a parsed manifest. Throws KubestickError naming `what`; for one that is an index at the same time (CVE-2021-41190), too. */
export function readManifest(manifest: Plain, what: string): Manifest {
  const { artifactType, config, layers } = manifest;
  if (manifest["manifests"] !== undefined)
    throw new KubestickError(`${what}: its manifest is an index at the same time`);
  const list = objectList(layers, `${what}: its layers`);
  if (list.length > LIMITS.layers) throw new KubestickError(`${what} has more than ${LIMITS.layers} layers`);
  return {
    artifactType: typeof artifactType === "string" ? artifactType : undefined,
    config: readDescriptor(config, `${what}: its config`),
    layers: list.map((layer, i) => readDescriptor(layer, `${what}: its layer ${i}`)),
  };
}

/** The descriptors of a parsed index. Throws KubestickError naming `what`; for one that is a manifest at the same time, too. */
export function readIndex(index: Plain, what: string): Descriptor[] {
  if (index["layers"] !== undefined || index["config"] !== undefined)
    throw new KubestickError(`${what}: its index is a manifest at the same time`);
  const list = objectList(index["manifests"], `${what}: its manifests`);
  if (list.length > LIMITS.images)
    throw new KubestickError(`${what}: its index lists more than ${LIMITS.images} manifests`);
  return list.map((child, i) => readDescriptor(child, `${what}: its manifest ${i}`));
}

/** The architecture that an image's parsed config says; undefined where it is for another system than Linux, or for none. */
export function architectureOf({ architecture, os = "linux" }: Plain): string | undefined {
  return typeof architecture === "string" &&
    /^[a-z0-9]{1,32}$/.test(architecture) &&
    architecture !== "unknown" &&
    os === "linux"
    ? architecture
    : undefined;
}

/** The error for something of a media type that is not taken. */
export function wrongType(what: string, mediaType: string): KubestickError {
  return new KubestickError(
    `${what} is of the media type ${JSON.stringify(mediaType.slice(0, 200))}, which a bundle does not hold`,
  );
}

/** The error for an image in Docker's first manifest format. */
export function oldSchema(what: string): KubestickError {
  return new KubestickError(`${what} is an image in Docker's old format (schema 1), which containerd does not take`, {
    hint: "copy it in today's format: skopeo copy --format v2s2 SOURCE DESTINATION",
  });
}
