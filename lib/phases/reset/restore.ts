import * as fs from "node:fs";
import { dirname } from "node:path";
import { HOST_BINARY_KINDS } from "../../constants/host-binaries.ts";
import { REPLACED_DIR } from "../../constants/paths.ts";
import type { Restoration } from "../../edge/removal.ts";
import { reason } from "../../errors.ts";
import { keptAt } from "../../host/ledger.ts";
import { isOriginal, type Original, originalOf, putBack, whyDamaged } from "../../host/original.ts";
import type { Left } from "../../host/remove.ts";
import type { Reset } from "./context.ts";
import { isLeft, type Resolved, resolvePlace } from "./places.ts";
import { isPlain, isProgramOf, ledgerRoots, lookAt, rootOf } from "./removals.ts";

/**
 * What somebody else had on this host where kubestick put its own. The ledger that names it is data, and may have been
 * tampered with: nothing is put anywhere but where kubestick writes or installs, by a way without links, in place of
 * nothing. Without a ledger what was kept says itself where it was.
 */
export function restorationsOf(ctx: Reset): Restoration[] {
  const { ledger, lost, ui } = ctx;
  const roots = ledgerRoots(ctx);
  return (lost ? keptOriginals() : ledger.originals).flatMap(([path, original]) => {
    const root = rootOf(roots, path);
    // As programs are removed: their directories are the system's, with the system's links on the way.
    if (HOST_BINARY_KINDS.some((kind) => isProgramOf(kind, path)))
      return [{ path, restore: () => restoreOne(path, original, (directory) => ({ real: directory, linked: false })) }];
    if (root !== undefined) return [{ path, restore: () => restoreOne(path, original, resolvePlace, root) }];
    ui.warn(`the ledger names ${path} as replaced, where kubestick replaces nothing by itself; nothing is put there`);
    return isPlain(path) && lookAt(keptAt(path))
      ? [{ path, restore: () => left(path, "must be put back by hand") }]
      : [];
  });
}

const left = (path: string, why: string): Left[] => [
  { path: keptAt(path), why: `it was ${path} before kubestick, and ${why}` },
];

/** Puts one thing back below a directory, or the first above it that is there, where `resolve` says that this really is. */
function restoreOne(
  path: string,
  original: Original,
  resolve: (directory: string) => Resolved,
  root: string = dirname(path),
): Left[] {
  const kept = keptAt(path);
  try {
    // A run that was killed had put it back, or had not replaced it yet.
    if (isOriginal(path, original)) return [];
    // Whoever was told of both has chosen one.
    if (lookAt(path) && !lookAt(kept)) return [];
    if (lookAt(path)) return left(path, "what is there now is somebody's work; move one of the two away");
    const damaged = whyDamaged(kept, original);
    if (damaged !== undefined) return left(path, `cannot be put back: ${damaged}`);
    let directory = root === path ? dirname(path) : root;
    while (!lookAt(directory)) directory = dirname(directory);
    const place = resolve(directory);
    if (place === undefined || isLeft(place))
      return left(path, `cannot be put back: ${place?.why ?? "a link leads nowhere"}`);
    const failed = putBack(place.real, place.real + path.slice(directory.length), kept);
    if (failed.length > 0 || isOriginal(path, original)) return failed;
    return left(path, "cannot be put back: others changed its directory meanwhile");
  } catch (error) {
    return left(path, `cannot be put back: ${reason(error)}`);
  }
}

/** What lies in the directory of what was kept, for a host whose ledger is lost. */
function keptOriginals(): [string, Original][] {
  if (!lookAt(REPLACED_DIR)?.isDirectory()) return [];
  return (fs.readdirSync(REPLACED_DIR, { recursive: true }) as string[]).flatMap((name) => {
    const original = originalOf(`${REPLACED_DIR}/${name}`);
    return original ? [[`/${name}`, original] as [string, Original]] : [];
  });
}
