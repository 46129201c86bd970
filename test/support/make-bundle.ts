import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { kubestickHere } from "./here.ts";

/** What came of an attempt to make a bundle: what was said, where it is, and its images as `NAME ARCH`. */
export interface MadeBundle {
  status: number;
  stdout: string;
  stderr: string;
  target: string;
  images: string[];
}

/** Makes bundles of sources with `bundle create --from`, each in a file of its own in a directory, and verifies them. */
export function bundleMaker(work: string): (from: string, arch?: string, ...more: string[]) => Promise<MadeBundle> {
  let made = 0;
  return async (from, arch = "amd64", ...more) => {
    const target = join(work, `bundle-${made++}.tar`);
    const out = await kubestickHere("bundle", "create", target, "--offline", "--arch", arch, "--from", from, ...more);
    if (out.status !== 0) return { ...out, images: [], target };
    const bundle = Bundle.open(target);
    bundle.verify();
    bundle.close();
    return { ...out, target, images: bundle.images.map((image) => `${image.name} ${image.arch}`).sort() };
  };
}
