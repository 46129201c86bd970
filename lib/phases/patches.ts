import { type Patch, readPatches } from "../manifests/patches.ts";
import type { Ui } from "../ui/ui.ts";

/** How many unused files are named one by one. */
const NAMED = 20;

/**
 * The patches of the directory that a user named, as init and join both read them; files in it that are none are told.
 * None where there is no directory. Throws UsageError as readPatches.
 */
export function userPatches(directory: string | undefined, ui: Ui): Patch[] {
  if (!directory) return [];
  const { patches, ignored } = readPatches(directory);
  for (const line of ignored.slice(0, NAMED)) ui.warn(line);
  if (ignored.length > NAMED) ui.warn(`Ignoring ${ignored.length - NAMED} more files in ${directory}`);
  if (patches.length === 0) ui.warn(`there is no patch in ${directory}`);
  return patches;
}
