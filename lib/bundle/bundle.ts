import type { HostBinary } from "../binaries/host-binary.ts";
import { KubestickError } from "../errors.ts";
import type { Region } from "../host/region.ts";
import { type BlobRef, type Descriptor, uniqueBlobs } from "../oci/descriptor.ts";
import { type Image, imageBlobs } from "../oci/image.ts";
import { verifiedChunks } from "../oci/store.ts";
import { TarStore } from "../oci/tar-store.ts";
import { type Contents, readContents, type UserYaml } from "./contents.ts";
import { openBundleFile } from "./payload.ts";

/** An open bundle: what it holds, listed and checked except for the bytes of layers and binaries. */
export class Bundle implements Contents {
  readonly store: TarStore;
  readonly region: Region;
  /** The length of the executable that carries it; 0 for a bundle alone. */
  readonly executableBytes: number;
  readonly kubernetesVersion: string | undefined;
  readonly images: Image[];
  readonly binaries: HostBinary[];
  readonly userYaml: UserYaml[];
  /** Every blob that anything in it refers to, once. */
  readonly blobs: Descriptor[];

  readonly #verified = new Set<string>();

  private constructor(region: Region, executableBytes: number) {
    this.region = region;
    this.executableBytes = executableBytes;
    this.store = new TarStore(region);
    const contents = readContents(this.store);
    this.kubernetesVersion = contents.kubernetesVersion;
    this.images = contents.images;
    this.binaries = contents.binaries;
    this.userYaml = contents.userYaml;
    this.blobs = contents.blobs;
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

  /** Its file. */
  get path(): string {
    return this.region.path;
  }

  /** The architectures that it has anything for, sorted. */
  get architectures(): string[] {
    return [...new Set([...this.images, ...this.binaries].map((item) => item.arch))].sort();
  }

  /** The blobs that an architecture needs, or all of them. */
  blobsFor(arch?: string): BlobRef[] {
    if (arch === undefined) return this.blobs;
    return uniqueBlobs<BlobRef>([
      ...this.images.filter((i) => i.arch === arch).flatMap(imageBlobs),
      ...this.binaries.filter((b) => b.arch === arch).map((b) => b.blob),
    ]);
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
