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
import type { Removal, Remover } from "../../edge/removal.ts";
import { KubestickError } from "../../errors.ts";
import { type Left, removeTree } from "../../host/remove.ts";
import type { Say } from "../../ui/ui.ts";
import type { Phase } from "../runner.ts";
import type { Reset } from "./context.ts";
import { lostRemovals, warnOfBinaries } from "./lost.ts";
import { lostLedger } from "./lost-ledger.ts";
import { networkRemoval } from "./network.ts";
import {
  CONTAINERD_PLACES,
  emptyPlace,
  isLeft,
  KUBELET_PLACES,
  OWN_PLACES,
  type Place,
  resolvePlace,
} from "./places.ts";
import { binaryRemovals, etcdRemovals, fileBelow, LEDGER_COPIES, ledgerRemovals } from "./removals.ts";
import { restorationsOf } from "./restore.ts";

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

/** reset's phase `cleanup-node`: takes off this host what kubestick put on it (kubeadm phases/reset/cleanupnode.go). */
export const cleanupNodePhase: Phase<Reset> = {
  name: "cleanup-node",
  short: "Run cleanup node.",
  live: true,
  flags: ["cert-dir", "cri-socket", "force"],
  inputs: [LEDGER_FILE],
  run: cleanUpNode,
};

/** Takes everything off this host that kubestick put on it, and nothing else. Throws KubestickError with what stays. */
async function cleanUpNode(ctx: Reset, step: Say): Promise<void> {
  const { files, ledger, ui, asked, lost, services, cri, kernel, remover, facts, outcome } = ctx;
  const warn = (text: string) => ui.warn(text);
  if (lost && !asked.force) throw lostLedger(ledger);
  if (!lost && !ledger.begun && !ledger.damagedBinaries && Object.keys(ledger.binaries).length === 0) {
    step(`kubestick has made nothing on this host (there is no ${LEDGER_FILE})`);
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
  await services.end([AGENT_SERVICE, "kubelet"], "the node agent and the kubelet", step);
  await cri.removePods(step, warn);
  // Somebody else's program may have got its service from kubestick.
  if (ownContainerd || ledger.services.includes("containerd")) await services.end(["containerd"], "containerd", step);
  if (facts.cgroupRoot) kernel.removeCgroupRoot(facts.cgroupRoot, facts.cgroupVersion);
  kernel.removeNetwork(step, warn);
  const left = remover.remove([networkRemoval(ctx)], step);
  kernel.restoreSysctls(ledger.sysctls, step, warn);
  left.push(...(await removeAll(remover, removals, places, mounted, step)));
  // When everything else is off: what is put back into a directory must not go with it.
  if (left.length === 0) left.push(...remover.restore(restorations, step));
  for (const dir of [...EMPTY_DIRS(asked.certificatesDir), ...places.map(({ path }) => path)])
    files.removeEmptyDirectory(dir);
  for (const dir of ownContainerd ? CONTAINERD_EMPTY_DIRS : []) files.removeEmptyDirectory(dir);
  // Last, because it is the account of all the rest: a reset that was interrupted can be run again.
  if (left.length === 0) left.push(...remover.remove([{ path: STATE_DIR, remove: removeState }], step));
  if (left.length > 0) throw notClean(left);
  step(outcome("Removed what kubestick had put on this host", "This host was not touched: this was a dry run"));
}

/** Unmounts what is below the places of pods, and removes everything; a place where something stays mounted is left as it is. */
async function removeAll(
  remover: Remover,
  removals: Removal[],
  places: Place[],
  mounted: Place[],
  say: Say,
): Promise<Left[]> {
  const reals = mounted.flatMap(({ path }) => {
    const resolved = resolvePlace(path);
    return resolved === undefined || isLeft(resolved) ? [] : [{ path, real: resolved.real }];
  });
  const stuck = await remover.unmountBelow(reals.map(({ real }) => real));
  const kept = reals.filter(({ real }) => stuck.some(({ path }) => path.startsWith(`${real}/`)));
  const isKept = (path: string) => kept.some((place) => path === place.path || path.startsWith(`${place.path}/`));
  const all = [...removals, ...places.map((place) => ({ path: place.path, remove: () => emptyPlace(place) }))];
  return [
    ...stuck,
    ...remover.remove(
      all.filter(({ path }) => !isKept(path)),
      say,
    ),
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
