import type { Bundle } from "../bundle/bundle.ts";
import { sandboxImage } from "../bundle/defaults.ts";
import type { HostFacts } from "../host/facts.ts";
import { usesSystemdCgroup } from "../runtime/containerd-config.ts";
import { Cri } from "../runtime/cri.ts";
import { findCtr, importedImages, importImages, tagImage } from "../runtime/images.ts";
import { endLostShims, removePods } from "../runtime/pods.ts";
import type { Say } from "../ui/ui.ts";
import { untilMaybe } from "../util/until.ts";

const POLL_MS = 200;

/** The container runtime of a node, as phases ask and change it: the CRI, and images out of a bundle. */
export class Runtime extends Cri {
  /** Its name and version; undefined where nothing answers. */
  answers(): Promise<{ name: string; version: string } | undefined> {
    return this.version().catch(() => undefined);
  }

  /** Waits until it answers; gives whether it did within so many milliseconds. */
  async answersWithin(limitMs: number): Promise<boolean> {
    return (await untilMaybe(() => this.answers(), { limitMs, pauseMs: POLL_MS })) !== undefined;
  }

  /** Throws KubestickError where nothing answers. */
  async mustAnswer(): Promise<void> {
    await this.version();
  }

  /** Pulls an image, and says so. Throws KubestickError. */
  async pull(image: string, say: Say): Promise<void> {
    say(`Pulling ${image}`);
    await this.pullImage(image);
  }

  /**
   * Imports a bundle's images for an architecture, and says how many; `progress` is told the bytes done. Throws
   * KubestickError.
   */
  async importImages(bundle: Bundle, arch: string, say: Say, progress: (bytes: number) => void): Promise<void> {
    const images = bundle.images.filter((image) => image.arch === arch);
    const ctr = findCtr(this.socket);
    const count = await importImages(bundle.store, images, ctr, progress);
    say(`Imported ${count} images; ${images.length - count} were there already`);
    // A runtime with a configuration of its own asks for its own pause image, and would pull it.
    const [wanted, ours] = [await this.sandboxImage(), sandboxImage(bundle, arch)];
    if (!wanted || !ours || wanted === ours || importedImages(ctr).has(wanted)) return;
    await tagImage(ctr, ours, wanted);
    say(`Naming ${ours} ${wanted} too, which is what the container runtime starts pods with`);
  }

  /** Ends every pod with its processes, also those that the runtime has lost; `warn` is told of what stays. */
  async removePods(say: Say, warn: Say): Promise<void> {
    await removePods(this, say, warn);
    await endLostShims(this.socket, say);
  }
}

/** A runtime that need not be there: nothing is missing, and nothing is changed. */
export class DryRuntime extends Runtime {
  readonly #facts: Pick<HostFacts, "capSysResource" | "serviceManager" | "cgroupVersion">;
  readonly #bundle: Bundle | undefined;
  readonly #warn: Say;

  /** `bundle` would set the runtime up; `warn` is told what is taken for granted. */
  constructor(criSocket: string, facts: HostFacts, bundle: Bundle | undefined, warn: Say) {
    super(criSocket);
    this.#facts = facts;
    this.#bundle = bundle;
    this.#warn = warn;
  }

  override answers = async () => undefined;
  override answersWithin = async () => true;
  override mustAnswer = async () => undefined;
  override hasRuntimeConfig = async () => true;
  override hasImage = async () => true;

  /** That of the runtime that is there; else the one that it would have. */
  override async cgroupDriver(): Promise<"systemd" | "cgroupfs" | undefined> {
    try {
      return await super.cgroupDriver();
    } catch {
      if (this.#bundle) return usesSystemdCgroup(this.#facts) ? "systemd" : "cgroupfs";
      this.#warn("the container runtime does not answer; its cgroup driver is taken to be systemd, as kubeadm does");
      return undefined;
    }
  }

  override async removePods(say: Say): Promise<void> {
    const pods = await this.sandboxes().catch(() => []);
    if (pods.length > 0) say(`Would remove ${pods.length} pods`);
  }

  override async pull(image: string, say: Say): Promise<void> {
    say(`Would pull ${image}`);
  }

  override async importImages(bundle: Bundle, arch: string, say: Say): Promise<void> {
    say(`Would import ${bundle.images.filter((image) => image.arch === arch).length} images`);
  }
}
