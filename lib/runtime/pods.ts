import { reason } from "../errors.ts";
import type { Say } from "../ui/ui.ts";
import { untilItWorks, untilMaybe } from "../util/until.ts";
import type { Cri } from "./cri.ts";
import { lostShims } from "./shims.ts";

const REMOVE_TRIES = 3;
/** A container that was being started when the kubelet ended cannot be removed before it has been. */
const STARTING_MS = 20_000;
const REMOVE_PAUSE_MS = 500;
const END = { limitMs: 2_000, pauseMs: 50 };

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
  let failures = 0;
  const passes = (error: unknown) => reason(error).includes("starting state") || ++failures < REMOVE_TRIES;
  await untilItWorks(() => cri.removeSandbox(id), {
    limitMs: STARTING_MS,
    pauseMs: REMOVE_PAUSE_MS,
    passes,
  });
}

/** Ends what containerd does not know of any more, so that no process of a pod stays, nor its cgroup. */
export async function endLostShims(criSocket: string, say: Say): Promise<void> {
  let pids: number[] = [];
  const none = () => {
    pids = lostShims(criSocket);
    return pids.length === 0;
  };
  // Those of the pods that were removed just now end by themselves.
  if (await untilMaybe(none, END)) return;
  say(`Ending ${pids.length} processes of pods that the container runtime has lost`);
  for (const pid of pids) tryKill(pid, "SIGKILL");
  await untilMaybe(() => !pids.some((pid) => tryKill(pid, 0)), END);
}

/** Sends a signal; false when the process is not there. */
function tryKill(pid: number, signal: "SIGKILL" | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
