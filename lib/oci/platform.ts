import { ARCHITECTURES } from "../constants/oci.ts";
import { UsageError } from "../errors.ts";
import type { Descriptor } from "./descriptor.ts";
import { parseObject } from "./json.ts";
import { readIndex } from "./manifest.ts";

/** The variant that an architecture without one means, and that all of its boards run (containerd's platforms.Normalize). */
const BASE_VARIANT: Record<string, number> = { amd64: 1, arm64: 8 };

/**
 * The manifests of an index that are images for Linux, one for each architecture that kubestick knows: the one for the
 * most boards, where there are several variants of the architecture (amd64/v3, arm64/v9). Others' platforms, attestations
 * (platform unknown/unknown) and what names no platform at all stay as they are in `others`.
 */
export function choosePlatforms<D extends Descriptor>(listed: D[]): { chosen: Map<string, D>; others: D[] } {
  const chosen = new Map<string, D>();
  const others: D[] = [];
  for (const descriptor of listed) {
    const { os, architecture = "" } = descriptor.platform ?? {};
    if (os !== "linux" || !Object.hasOwn(ARCHITECTURES, architecture)) others.push(descriptor);
    else {
      const known = chosen.get(architecture);
      if (!known || variant(descriptor) < variant(known)) chosen.set(architecture, descriptor);
    }
  }
  return { chosen, others };
}

function variant({ platform }: Descriptor): number {
  const base = BASE_VARIANT[platform?.architecture ?? ""] ?? 0;
  return Number(/^v(\d+)/.exec(platform?.variant ?? "")?.[1] ?? base);
}

/** The manifests of an index for Linux, by architecture. Throws KubestickError naming `what`. */
export function platformManifests(index: Buffer, what: string): Record<string, Descriptor> {
  return Object.fromEntries(choosePlatforms(readIndex(parseObject(index, what), what)).chosen);
}

/** Refuses architectures that kubestick does not know. Throws UsageError. */
export function checkArchitectures(archs: string[]): string[] {
  const wrong = archs.find((arch) => !Object.hasOwn(ARCHITECTURES, arch));
  if (wrong !== undefined)
    throw new UsageError(`--arch takes ${Object.keys(ARCHITECTURES).join(" and ")}, not ${JSON.stringify(wrong)}`);
  return [...new Set(archs)].sort();
}
