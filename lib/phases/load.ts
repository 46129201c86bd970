import { installBinary } from "../binaries/install.ts";
import { planBinaries, refuseForeign } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { DEFAULT_CRI_SOCKET } from "../constants/paths.ts";
import { KUBERNETES_VERSION } from "../constants/versions.ts";
import type { Files } from "../host/files.ts";
import { findCtr, importImages } from "../runtime/images.ts";
import { progressLine } from "../ui/progress.ts";
import { formatBytes } from "../ui/table.ts";
import type { Ui } from "../ui/ui.ts";

/** What of a bundle is loaded, and how. */
export interface LoadOptions {
  arch: string;
  /** Leave the host binaries alone. */
  imagesOnly: boolean;
  /** Replace host binaries and files that are newer or not kubestick's own. */
  force: boolean;
  criSocket?: string | undefined;
}

/** Installs a bundle's host binaries, and imports its images into containerd. The caller holds the host's lock. Throws KubestickError. */
export async function loadBundle(
  bundle: Bundle,
  options: LoadOptions,
  files: Files,
  ui: Ui,
): Promise<{ imported: number; images: number }> {
  const { arch, force, imagesOnly, criSocket = DEFAULT_CRI_SOCKET } = options;
  const kubernetesVersion = bundle.kubernetesVersion ?? KUBERNETES_VERSION;
  const decisions = imagesOnly ? [] : planBinaries(bundle, { arch, kubernetesVersion, force, files });
  refuseForeign(decisions);
  for (const decision of decisions) {
    const { kind, binary, action, why } = decision;
    const written = action === "install" ? await installBinary(bundle, decision, files) : [];
    ui.step(
      "load",
      written.length > 0 ? `Installed ${kind.name} ${binary.version}: ${written.join(", ")}` : `${kind.name}: ${why}`,
    );
  }
  const images = bundle.images.filter((image) => image.arch === arch);
  const show = progressLine(ui, "load");
  const imported = await importImages(bundle.store, images, findCtr(criSocket), (done) =>
    show(() => `Importing images: ${formatBytes(done)}`),
  );
  ui.step("load", `Imported ${imported} images; ${images.length - imported} were there already`);
  return { imported, images: images.length };
}
