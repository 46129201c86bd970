import { KubestickError } from "../errors.ts";
import type { Region } from "../host/region.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import {
  imageBlobs,
  type Layout,
  type LayoutBinary,
  type LayoutImage,
  type LayoutManifest,
  readLayout,
} from "../oci/layout.ts";
import { TarStore, verifiedChunks } from "../oci/store.ts";
import { openBundleFile } from "./payload.ts";

/** An open bundle: what it holds, listed and checked except for the bytes of layers and binaries. */
export class Bundle implements Layout {
  readonly store: TarStore;
  readonly region: Region;
  /** The length of the executable that carries it; 0 for a bundle alone. */
  readonly executableBytes: number;
  readonly kubernetesVersion: string | undefined;
  readonly images: LayoutImage[];
  readonly binaries: LayoutBinary[];
  readonly manifests: LayoutManifest[];
  readonly blobs: Descriptor[];
  readonly leftOut: string[];
  readonly absent: Layout["absent"];

  readonly #verified = new Set<string>();

  private constructor(region: Region, executableBytes: number) {
    this.region = region;
    this.executableBytes = executableBytes;
    this.store = new TarStore(region);
    const layout = readLayout(this.store);
    this.kubernetesVersion = layout.kubernetesVersion;
    this.images = layout.images;
    this.binaries = layout.binaries;
    this.manifests = layout.manifests;
    this.blobs = layout.blobs;
    this.leftOut = layout.leftOut;
    this.absent = layout.absent;
  }

  /** Opens a bundle's file, or the executable it is attached to. Throws KubestickError when it is none or is damaged. */
  static open(path: string): Bundle {
    const { region, executableBytes } = openBundleFile(path);
    try {
      return new Bundle(region, executableBytes);
    } catch (error) {
      region.close();
      throw error;
    }
  }

  get path(): string {
    return this.region.path;
  }

  /** The architectures that it has anything for, sorted. */
  get architectures(): string[] {
    return [...new Set([...this.images, ...this.binaries].map((item) => item.arch))].sort();
  }

  /** The blobs that an architecture needs, or all of them. */
  blobsFor(arch?: string): Descriptor[] {
    if (arch === undefined) return this.blobs;
    const wanted = [
      ...this.images.filter((i) => i.arch === arch).flatMap(imageBlobs),
      ...this.binaries.filter((b) => b.arch === arch).map((b) => b.blob),
    ];
    return [...new Map(wanted.map((d) => [d.digest, d])).values()];
  }

  /**
   * Reads every blob (of one architecture, where it is given) and checks its digest; `progress` hears of the bytes done.
   * Throws KubestickError at the first that is damaged.
   */
  verify(arch?: string, progress?: (bytes: number) => void): { blobs: number; bytes: number } {
    const blobs = this.blobsFor(arch);
    let bytes = 0;
    for (const blob of blobs) {
      for (const chunk of verifiedChunks(this.store, blob)) {
        bytes += chunk.length;
        progress?.(bytes);
      }
    }
    return { blobs: blobs.length, bytes };
  }

  /** Verifies what an architecture needs, once; a second call does nothing. Throws KubestickError. */
  ensureVerified(arch: string, progress?: (bytes: number) => void): void {
    this.requireArchitecture(arch);
    if (this.#verified.has(arch)) return;
    this.verify(arch, progress);
    this.#verified.add(arch);
  }

  /** Refuses a bundle that has nothing for an architecture. Throws KubestickError. */
  requireArchitecture(arch: string): void {
    if (this.architectures.includes(arch)) return;
    throw new KubestickError(
      `${this.path} is for ${this.architectures.join(" and ") || "no architecture"}, and this host is ${arch}`,
      { hint: `use the bundle for ${arch}, or make one: kubestick bundle create --arch ${arch}` },
    );
  }

  /** Closes its file. */
  close(): void {
    this.region.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
