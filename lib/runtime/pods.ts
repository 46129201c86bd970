import { setTimeout as sleep } from "node:timers/promises";
import { reason } from "../errors.ts";
import type { Say } from "../ui/ui.ts";
import type { Cri } from "./cri.ts";
import { lostShims } from "./shims.ts";

const REMOVE_TRIES = 3;
/** A container that was being started when the kubelet ended cannot be removed before it has been. */
const REMOVE_TRIES_STARTING = 40;
const REMOVE_PAUSE_MS = 500;
const END_TRIES = 40;
const END_PAUSE_MS = 50;

/** Stops and removes every pod, so that no process, network or mount of one stays; `warn` is told of those that stay. */
export async function removePods(cri: Cri, say: Say, warn: Say): Promise<void> {
  let ids: string[];
  try {
    ids = (await cri.sandboxes()).map(({ id }) => id);
  } catch (error) {
    warn(`the pods cannot be removed: ${reason(error)}`);
    return;
  }
  if (ids.length > 0) say(`Removing ${ids.length} pods`);
  for (const id of ids)
    await removePod(cri, id).catch((error: unknown) =>
      warn(`pod ${id.slice(0, 13)} at ${cri.socket}: ${reason(error)}`),
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
export async function endLostShims(criSocket: string, say: Say): Promise<void> {
  let pids = lostShims(criSocket);
  // Those of the pods that were removed just now end by themselves.
  for (let tries = 0; tries < END_TRIES && pids.length > 0; tries++) {
    await sleep(END_PAUSE_MS);
    pids = lostShims(criSocket);
  }
  if (pids.length === 0) return;
  say(`Ending ${pids.length} processes of pods that the container runtime has lost`);
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
