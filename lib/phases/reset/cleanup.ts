import { readdirSync } from "node:fs";
import { AGENT_SERVICE, CNI_CONF_DIR } from "../../constants/network.ts";
import {
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  KUBELET_BOOTSTRAP_KUBECONFIG,
  KUBERNETES_DIR,
  LEDGER_FILE,
  LOCK_FILE,
  STATE_DIR,
} from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { removeCgroupRoot } from "../../host/cgroups.ts";
import { unmountBelow } from "../../host/mounts.ts";
import { type Left, removeTree } from "../../host/remove.ts";
import type { ResetContext } from "./context.ts";
import { lostRemovals, warnOfBinaries } from "./lost.ts";
import { lostLedger } from "./lost-ledger.ts";
import { cleanNetwork } from "./network.ts";
import { cleanPacketFilter } from "./packet-filter.ts";
import {
  CONTAINERD_PLACES,
  emptyPlace,
  isLeft,
  KUBELET_PLACES,
  OWN_PLACES,
  type Place,
  resolvePlace,
} from "./places.ts";
import { endLostShims, removePods } from "./pods.ts";
import { binaryRemovals, etcdRemovals, fileBelow, LEDGER_COPIES, ledgerRemovals, type Removal } from "./removals.ts";
import { restorationsOf, restoreSysctls } from "./restore.ts";

/** containerd 2 ends when the directory of CNI configurations goes, so that of somebody else's stays. */
const CONTAINERD_EMPTY_DIRS = [CNI_CONF_DIR, "/etc/cni"];

/** Directories that go when nothing is left in them, deepest first. */
const EMPTY_DIRS = (pki: string) => [
  `${pki}/etcd`,
  pki,
  `${KUBERNETES_DIR}/manifests`,
  KUBERNETES_DIR,
  CONTAINERD_CERTS_DIR,
  "/etc/containerd",
  CNI_BIN_DIR,
  "/opt/cni",
  "/opt/kubestick/bin",
  "/opt/kubestick",
];

/** Takes everything off this host that kubestick put on it, and nothing else (kubeadm phases/reset/cleanupnode.go). */
export async function cleanUpNode(ctx: ResetContext): Promise<void> {
  const { files, ledger, ui, services, options, lost } = ctx;
  if (lost && !options.force) throw lostLedger(ledger);
  if (!lost && !ledger.begun && !ledger.damagedBinaries && Object.keys(ledger.binaries).length === 0) {
    ui.step("cleanup-node", `kubestick has made nothing on this host (there is no ${LEDGER_FILE})`);
    return;
  }
  if (ledger.condition === "restored")
    ui.warn(`${LEDGER_FILE} is damaged; its copy from before the last change is used`);
  // Of somebody else's containerd perhaps only ctr is kubestick's.
  const ownContainerd = ledger.binaries["containerd"]?.files.some((path) => path.endsWith("/containerd")) ?? false;
  const mounted = [KUBELET_PLACES[0]!, ...(ownContainerd ? CONTAINERD_PLACES : [])];
  const places = [...KUBELET_PLACES, ...(ownContainerd ? CONTAINERD_PLACES : []), ...OWN_PLACES];
  warnOfBinaries(ctx);
  const removals = [
    ...etcdRemovals(ctx),
    ...(lost ? lostRemovals(ctx) : ledgerRemovals(ctx)),
    ...binaryRemovals(ctx),
    fileBelow(KUBERNETES_DIR, KUBELET_BOOTSTRAP_KUBECONFIG),
  ];
  const restorations = restorationsOf(ctx);
  if (options.dryRun) {
    for (const { path } of [...removals, ...places])
      if (files.exists(path)) ui.step("cleanup-node", `Would remove ${path}`);
    for (const { path } of restorations) ui.step("cleanup-node", `Would put back what was at ${path} before`);
    return;
  }
  ui.step("cleanup-node", "Stopping the node agent and the kubelet");
  await services.remove(AGENT_SERVICE);
  await services.remove("kubelet");
  await removePods(ctx);
  await endLostShims(ctx);
  // Somebody else's program may have got its service from kubestick.
  if (ownContainerd || ledger.services.includes("containerd")) {
    ui.step("cleanup-node", "Stopping containerd");
    await services.remove("containerd");
  }
  if (ctx.facts.cgroupRoot) removeCgroupRoot(ctx.facts.cgroupRoot, ctx.facts.cgroupVersion);
  cleanPacketFilter(ctx);
  const left: Left[] = cleanNetwork(ctx);
  restoreSysctls(ctx);
  left.push(...(await removeAll(removals, places, mounted)));
  // When everything else is off: what is put back into a directory must not go with it.
  if (left.length === 0) left.push(...restorations.flatMap(({ restore }) => restore()));
  for (const dir of [...EMPTY_DIRS(options.certificatesDir), ...places.map(({ path }) => path)])
    files.removeEmptyDirectory(dir);
  for (const dir of ownContainerd ? CONTAINERD_EMPTY_DIRS : []) files.removeEmptyDirectory(dir);
  // Last, because it is the account of all the rest: a reset that was interrupted can be run again.
  if (left.length === 0) left.push(...removeState());
  if (left.length > 0) throw notClean(left);
  ui.step("cleanup-node", "Removed what kubestick had put on this host");
}

/** Unmounts what is below the places of pods, and removes everything; a place where something stays mounted is left as it is. */
async function removeAll(removals: Removal[], places: Place[], mounted: Place[]): Promise<Left[]> {
  const reals = mounted.flatMap(({ path }) => {
    const resolved = resolvePlace(path);
    return resolved === undefined || isLeft(resolved) ? [] : [{ path, real: resolved.real }];
  });
  const stuck = await unmountBelow(reals.map(({ real }) => real));
  const kept = reals.filter(({ real }) => stuck.some(({ path }) => path.startsWith(`${real}/`)));
  const isKept = (path: string) => kept.some((place) => path === place.path || path.startsWith(`${place.path}/`));
  return [
    ...stuck,
    ...removals.filter(({ path }) => !isKept(path)).flatMap(({ remove }) => remove()),
    ...places.filter(({ path }) => !isKept(path)).flatMap(emptyPlace),
  ];
}

/** kubestick's own directory, the ledger after all else. The lock's file goes when it is let go of, and the directory with it. */
function removeState(): Left[] {
  const resolved = resolvePlace(STATE_DIR);
  if (resolved === undefined || isLeft(resolved)) return resolved ? [resolved] : [];
  const last = [...LEDGER_COPIES, LOCK_FILE].map((path) => path.slice(STATE_DIR.length + 1));
  const others = readdirSync(resolved.real).filter((name) => !last.includes(name));
  const left = others.flatMap((name) => removeTree(`${resolved.real}/${name}`));
  return left.length > 0
    ? left
    : LEDGER_COPIES.flatMap((path) => removeTree(resolved.real + path.slice(STATE_DIR.length)));
}

function notClean(left: Left[]): KubestickError {
  const lines = left.map(({ path, why }) => `  ${path}: ${why}`);
  return new KubestickError(`this host is not clean: what follows was left as it is\n${lines.join("\n")}`, {
    hint: `end what uses it and unmount it (umount PATH), or remove it by hand, then run kubestick reset again`,
  });
}
