import { KubestickError } from "../errors.ts";
import type { BlobRef } from "../oci/descriptor.ts";
import { type Image, imageBlobs } from "../oci/image.ts";
import type { Staging } from "../oci/staging.ts";
import type { Contents, LocalContent } from "./contents.ts";
import { copyBlob } from "./stage-blobs.ts";

/**
 * Stages everything that local content has for some architectures; of what has the same name, the first. Throws
 * KubestickError for an image without a name, and when it has nothing.
 */
export function stageLocal(
  local: LocalContent[],
  architectures: string[],
  kubernetesVersion: string | undefined,
  staging: Staging,
): Contents {
  const contents: Contents = { kubernetesVersion, images: [], binaries: [], userYaml: [] };
  const stage = ({ store }: LocalContent, blob: BlobRef) => {
    if (!staging.has(blob)) copyBlob(store, blob.digest, staging);
  };
  for (const content of local) {
    const found = content.contents;
    contents.kubernetesVersion ??= found.kubernetesVersion;
    for (const image of found.images.filter((i) => architectures.includes(i.arch))) {
      if (image.name === "") throw nameless(content.store.path, image);
      if (contents.images.some((i) => i.name === image.name && i.arch === image.arch)) continue;
      for (const blob of imageBlobs(image)) stage(content, blob);
      contents.images.push(image);
    }
    for (const binary of found.binaries.filter((b) => architectures.includes(b.arch))) {
      if (contents.binaries.some((b) => b.name === binary.name && b.arch === binary.arch)) continue;
      stage(content, binary.blob);
      contents.binaries.push(binary);
    }
    for (const file of found.userYaml) {
      stage(content, file.blob);
      contents.userYaml.push(file);
    }
  }
  const apiServer = contents.images.find((image) => /\/kube-apiserver:/.test(image.name));
  contents.kubernetesVersion ??= apiServer && /:(v\d+\.\d+\.\d+[^:]*)$/.exec(apiServer.name)?.[1];
  if (contents.images.length + contents.binaries.length === 0)
    throw new KubestickError(`there is nothing for ${architectures.join(" or ")} in ${pathsOf(local)}`, {
      hint: "check --from and --arch",
    });
  return contents;
}

function pathsOf(local: LocalContent[]): string {
  const paths = local.slice(0, 5).map(({ store }) => store.path);
  return `${paths.join(", ")}${local.length > paths.length ? ` and ${local.length - paths.length} more` : ""}`;
}

function nameless(path: string, { rawName, manifest }: Image): KubestickError {
  const how = "kubestick cannot know which image it is; give it its name when it is saved";
  const hint = `${how}: skopeo copy SOURCE oci-archive:FILE.tar:registry.example.org/team/app:TAG`;
  if (rawName === undefined)
    return new KubestickError(`${path} holds an image without a name (${manifest.digest})`, { hint });
  const shown = JSON.stringify(rawName.slice(0, 300));
  return new KubestickError(
    /[/:@]/.test(rawName)
      ? `${path} holds an image of the name ${shown}, which is none`
      : `${path} holds an image that is only called ${shown}, which is a tag and no name`,
    { hint },
  );
}
