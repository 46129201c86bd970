import { setTimeout as sleep } from "node:timers/promises";
import { readInstalled } from "../../bundle/installed.ts";
import { AGENT_SERVICE, CNI_CONF_DIR } from "../../constants/network.ts";
import {
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  KUBELET_BOOTSTRAP_KUBECONFIG,
  KUBERNETES_DIR,
  LEDGER_FILE,
  LOG_DIR,
  POD_LOGS_DIR,
  RUN_DIR,
  STATE_DIR,
} from "../../constants/paths.ts";
import { removeCgroupRoot } from "../../host/cgroups.ts";
import { reason } from "../../host/errors.ts";
import { unmountBelow } from "../../host/mounts.ts";
import type { Cri } from "../../runtime/cri.ts";
import { lostShims } from "../../runtime/shims.ts";
import type { ResetContext } from "./context.ts";
import { cleanNetwork } from "./network.ts";
import { cleanPacketFilter } from "./packet-filter.ts";

const KUBELET_DIR = "/var/lib/kubelet";
const CONTAINER_LOGS_DIR = "/var/log/containers";
const REMOVE_TRIES = 3;
/** A container that was being started when the kubelet ended cannot be removed before it has been. */
const REMOVE_TRIES_STARTING = 40;
const REMOVE_PAUSE_MS = 500;
const END_TRIES = 40;
const END_PAUSE_MS = 50;
/** Where containerd keeps what it has; kubestick's to remove only when it brought containerd. */
const CONTAINERD_DIRS = ["/var/lib/containerd", "/run/containerd", "/run/nri"];
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
  KUBELET_DIR,
];

/** Takes everything off this host that kubestick put on it, and nothing else (kubeadm phases/reset/cleanupnode.go). */
export async function cleanUpNode(ctx: ResetContext): Promise<void> {
  const { files, ledger, ui, services, options } = ctx;
  const installed = readInstalled(files);
  if (!ledger.begun && Object.keys(installed).length === 0) {
    ui.step("cleanup-node", `kubestick has made nothing on this host (there is no ${LEDGER_FILE})`);
    return;
  }
  // Of somebody else's containerd perhaps only ctr is kubestick's.
  const ownContainerd = installed["containerd"]?.files.some((path) => path.endsWith("/containerd")) ?? false;
  if (options.dryRun) {
    for (const path of ledger.paths) ui.step("cleanup-node", `Would remove ${path}`);
    for (const path of Object.values(installed).flatMap((i) => i.files))
      ui.step("cleanup-node", `Would remove ${path}`);
    return;
  }
  ui.step("cleanup-node", "Stopping the node agent and the kubelet");
  await services.remove(AGENT_SERVICE);
  await services.remove("kubelet");
  await removePods(ctx);
  await endLostShims(ctx);
  if (ownContainerd) {
    ui.step("cleanup-node", "Stopping containerd");
    await services.remove("containerd");
  }
  if (ctx.facts.cgroupRoot) removeCgroupRoot(ctx.facts.cgroupRoot, ctx.facts.cgroupVersion);
  cleanPacketFilter(ctx);
  cleanNetwork(ctx);
  const trees = [KUBELET_DIR, ...(ownContainerd ? CONTAINERD_DIRS : [])];
  for (const failure of unmountBelow(trees)) ui.warn(`cannot unmount ${failure}`);
  for (const path of ledger.paths) removeOwn(ctx, path);
  for (const path of Object.values(installed).flatMap((i) => i.files)) files.remove(path);
  for (const dir of [KUBELET_DIR, POD_LOGS_DIR, CONTAINER_LOGS_DIR, ...(ownContainerd ? CONTAINERD_DIRS : [])])
    empty(ctx, dir);
  files.remove(KUBELET_BOOTSTRAP_KUBECONFIG);
  for (const dir of [...EMPTY_DIRS(options.certificatesDir), ...(ownContainerd ? CONTAINERD_EMPTY_DIRS : [])])
    files.removeEmptyDirectory(dir);
  // Last, because it is the account of all the rest: a reset that was interrupted can be run again.
  for (const dir of [RUN_DIR, LOG_DIR, STATE_DIR]) empty(ctx, dir);
  ui.step("cleanup-node", "Removed what kubestick had put on this host");
}

/** Stops and removes every pod, so that no process, network or mount of one stays. */
async function removePods({ cri, ui, options }: ResetContext): Promise<void> {
  let ids: string[];
  try {
    ids = (await cri.sandboxes()).map(({ id }) => id);
  } catch (error) {
    ui.warn(`the pods cannot be removed: ${reason(error)}`);
    return;
  }
  if (ids.length > 0) ui.step("cleanup-node", `Removing ${ids.length} pods`);
  for (const id of ids)
    await removePod(cri, id).catch((error: unknown) =>
      ui.warn(`pod ${id.slice(0, 13)} at ${options.criSocket}: ${reason(error)}`),
    );
}

/** A container that ends by itself at the same moment makes containerd fail, once. */
async function removePod(cri: Cri, id: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await cri.removeSandbox(id);
    } catch (error) {
      if (tries >= (reason(error).includes("starting state") ? REMOVE_TRIES_STARTING : REMOVE_TRIES)) throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}

/** Ends what containerd does not know of any more, so that no process of a pod stays, nor its cgroup. */
async function endLostShims({ ui, options }: ResetContext): Promise<void> {
  let pids = lostShims(options.criSocket);
  // Those of the pods that were removed just now end by themselves.
  for (let tries = 0; tries < END_TRIES && pids.length > 0; tries++) {
    await sleep(END_PAUSE_MS);
    pids = lostShims(options.criSocket);
  }
  if (pids.length === 0) return;
  ui.step("cleanup-node", `Ending ${pids.length} processes of pods that the container runtime has lost`);
  for (const pid of pids) tryKill(pid, "SIGKILL");
  for (let tries = 0; tries < END_TRIES && pids.some((pid) => tryKill(pid, 0)); tries++) await sleep(END_PAUSE_MS);
}

/** Sends a signal; false when the process is not there. */
function tryKill(pid: number, signal: "SIGKILL" | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Removes a file or directory of the ledger. A file that was changed since is somebody's work, and stays unless forced. */
function removeOwn({ files, ledger, ui, options }: ResetContext, path: string): void {
  if (path === LEDGER_FILE || !files.exists(path)) return;
  if (ledger.claimed(path)) files.removeTree(path);
  else if (ledger.owns(path) || options.force) files.remove(path);
  else ui.warn(`${path} was changed since kubestick wrote it, and stays; --force removes it`);
}

function empty({ files, ui }: ResetContext, directory: string): void {
  try {
    for (const name of files.list(directory)) files.removeTree(`${directory}/${name}`);
    files.removeEmptyDirectory(directory);
  } catch (error) {
    ui.warn(`cannot empty ${directory}: ${reason(error)}`);
  }
}
