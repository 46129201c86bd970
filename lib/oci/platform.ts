import { ARCHITECTURES } from "../constants/oci.ts";
import type { Descriptor } from "./descriptor.ts";

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
