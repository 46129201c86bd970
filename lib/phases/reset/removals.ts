import * as fs from "node:fs";
import { basename, dirname, normalize } from "node:path";
import { type HostBinaryKind, hostBinaryKind } from "../../constants/host-binaries.ts";
import { CNI_BIN_DIR, ETCD_DATA_DIR, LEDGER_FILE, MANIFESTS_DIR, PROGRAM_PATH } from "../../constants/paths.ts";
import type { Removal } from "../../edge/removal.ts";
import type { Files } from "../../host/files.ts";
import { removeLeftovers } from "../../host/new-file.ts";
import { isOriginal } from "../../host/original.ts";
import { previousOf } from "../../host/record.ts";
import { removeFileBelow, removeTree } from "../../host/remove.ts";
import { commandFlag } from "../../manifests/pod.ts";
import type { Reset } from "./context.ts";
import { isLeft, LEDGER_ROOTS, resolvePlace } from "./places.ts";

const ETCD_MANIFEST = `${MANIFESTS_DIR}/etcd.yaml`;
const APISERVER_MANIFEST = `${MANIFESTS_DIR}/kube-apiserver.yaml`;
/** What etcd makes in its data directory (etcd server/storage/datadir). */
const ETCD_MEMBER = "member";

/**
 * etcd's data, where kubestick began it: all of its usual directory. Of another, which the ledger must name and the static pod too,
 * or of what a link leads to, only etcd's own part.
 */
export function etcdRemovals(ctx: Reset): Removal[] {
  const { files, ledger, lost } = ctx;
  return etcdPlaces(ctx)
    .filter((path) => (ledger.claimed(path) || lost) && fs.existsSync(path))
    .map((path) => ({
      path,
      remove: () => {
        const resolved = resolvePlace(path);
        if (resolved === undefined || isLeft(resolved)) return resolved ? [resolved] : [];
        const { real, linked } = resolved;
        if (path === ETCD_DATA_DIR && !linked) return removeTree(real);
        const left = removeTree(`${real}/${ETCD_MEMBER}`);
        if (left.length === 0 && !linked) files.removeEmptyDirectory(real);
        return left;
      },
    }));
}

/** Where etcd's data may be: where it usually is, and where the static pod has it. */
function etcdPlaces({ files }: Reset): string[] {
  const named = commandFlag(textOf(files, ETCD_MANIFEST), "data-dir");
  return [...new Set([ETCD_DATA_DIR, ...(named && isPlain(named) ? [named] : [])])];
}

/**
 * The files that the ledger names. It is data, and may have been tampered with: only files, only below the directories
 * where kubestick writes, and with no link on the way. One that was changed since is somebody's work, and stays unless forced.
 */
export function ledgerRemovals(ctx: Reset): Removal[] {
  const { ledger, ui, asked } = ctx;
  const roots = ledgerRoots(ctx);
  const etcd = etcdPlaces(ctx);
  const originals = new Map(ledger.originals);
  const removals: Removal[] = [];
  for (const path of ledger.paths) {
    if (path === LEDGER_FILE || etcd.includes(path)) continue;
    const root = rootOf(roots, path);
    const found = isPlain(path) ? lookAt(path) : "no path";
    if (found === undefined) continue;
    if (root === undefined || found === "no path")
      ui.warn(`the ledger names ${path}, where kubestick keeps nothing by itself; it stays`);
    else if (originals.has(path) && isOriginal(path, originals.get(path)!)) continue;
    else if (found.isDirectory()) ui.warn(`the ledger names ${path}, which is a directory; it stays`);
    else if (ledger.claimed(path) || asked.force || (found.isFile() && ledger.owns(path)))
      removals.push(fileBelow(root, path));
    else ui.warn(`${path} was changed since kubestick wrote it, and stays; rm ${path} removes it`);
  }
  // Last, because they say where the others are: a reset that was interrupted is run again.
  const isManifest = ({ path }: Removal) => path === ETCD_MANIFEST || path === APISERVER_MANIFEST;
  return [...removals.filter((r) => !isManifest(r)), ...removals.filter(isManifest)];
}

/** The directories below which, and the files that, a ledger can name: kubestick's usual ones, and where its certificates are. */
export function ledgerRoots({ files, asked }: Reset): string[] {
  const certificates = commandFlag(textOf(files, APISERVER_MANIFEST), "client-ca-file");
  return [...LEDGER_ROOTS, asked.certificatesDir, ...(certificates ? [dirname(certificates)] : [])].filter(isPlain);
}

/** The root that a path is, or lies below; undefined where it is none that a ledger can name. */
export const rootOf = (roots: string[], path: string): string | undefined =>
  isPlain(path) ? roots.find((dir) => path === dir || path.startsWith(`${dir}/`)) : undefined;

/** A file's text; empty where there is none, or it cannot be read. */
export function textOf(files: Files, path: string): string {
  try {
    return files.readText(path) ?? "";
  } catch {
    // No plain file.
    return "";
  }
}

/** What is at a path; undefined where nothing is, or nothing can be. */
export function lookAt(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path);
  } catch {
    return undefined;
  }
}

/** A file below a root, or the root itself where that is a file. */
export function fileBelow(root: string, path: string): Removal {
  const directory = root === path ? dirname(path) : root;
  return {
    path,
    remove: () => {
      const resolved = resolvePlace(directory);
      if (resolved === undefined || isLeft(resolved)) return resolved ? [resolved] : [];
      const real = resolved.real + path.slice(directory.length);
      removeLeftovers(real);
      return removeFileBelow(resolved.real, real);
    },
  };
}

/** The programs that kubestick installed, by its record: those that it knows, where it puts them. */
export function binaryRemovals({ ledger, ui }: Reset): Removal[] {
  return Object.entries(ledger.binaries).flatMap(([name, { files: paths }]) => {
    const kind = hostBinaryKind(name);
    return paths.flatMap((path) => {
      if (kind === undefined || !isProgramOf(kind, path)) {
        ui.warn(`the record of host binaries names ${path}, which kubestick does not install by itself; it stays`);
        return [];
      }
      return lookAt(path) ? [{ path, remove: () => removeFileBelow(dirname(path), path) }] : [];
    });
  });
}

/** Whether a path is where kubestick puts, or replaces, a program of a kind of host binaries. */
export function isProgramOf({ name, members = [name] }: HostBinaryKind, path: string): boolean {
  const [directory, program] = [dirname(path), basename(path)];
  if (!isPlain(path) || ![...PROGRAM_PATH.split(":"), CNI_BIN_DIR].includes(directory)) return false;
  return members === "all" ? directory === CNI_BIN_DIR : members.some((member) => basename(member) === program);
}

/** The ledger itself, which goes last: until then a reset that was interrupted can be run again. */
export const LEDGER_COPIES = [previousOf(LEDGER_FILE), LEDGER_FILE];

/** Whether a path is absolute and says what it is without `.` and `..`. */
export const isPlain = (path: string): boolean =>
  path.startsWith("/") && normalize(path) === path && !path.includes("\0") && !path.endsWith("/");
