import { nameByDigest, parseReference } from "../oci/reference.ts";
import type { Contents } from "./contents.ts";

/**
 * Names that images of the contents have by digest, too: by that of their own manifest or of an index that they were
 * published in. What is asked for so is in the bundle already, and gets that name.
 */
export function addDigestNames({ images }: Contents, names: string[]): void {
  for (const name of names) {
    const { digest } = parseReference(name);
    if (digest === undefined) continue;
    const same = images.filter(
      (image) =>
        image.name !== name &&
        nameByDigest(image.name, digest) === name &&
        [image.manifest, ...(image.indexes ?? [])].some((d) => d.digest === digest),
    );
    for (const image of same)
      if (!images.some((i) => i.name === name && i.arch === image.arch)) images.push({ ...image, name });
  }
}
