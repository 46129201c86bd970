import { ApiError } from "../../api/errors.ts";
import { mapOf, mapsOf } from "../../api/fields.ts";
import type { ClusterAccess } from "../../cluster/access.ts";
import type { Taint } from "../../config/kinds/fields.ts";
import { LABEL_CONTROL_PLANE, LABEL_EXCLUDE_LB } from "../../constants/names.ts";
import { CONTROL_PLANE_TAINT } from "../../kubelet/flags.ts";
import type { Say } from "../../ui/ui.ts";
import { until } from "../../util/until.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

const POLL_MS = 100;

/** init's phase `mark-control-plane`: labels and taints of this node. */
export const markControlPlanePhase: Phase<Init> = {
  name: "mark-control-plane",
  short: "Mark a node as a control-plane",
  live: true,
  flags: ["node-name"],
  inputs: ["Node NAME"],
  outputs: ["Node NAME"],
  run: ({ cp, access }, step) => markControlPlane(cp, access, step),
};

/** Gives a Node the labels and taints of a control plane, once its kubelet has registered it. Throws KubestickError. */
export async function markControlPlane(cp: ControlPlane, access: ClusterAccess, step: Say): Promise<void> {
  const { name, services } = cp.node;
  const taints = cp.config.nodeRegistration.taints ?? [CONTROL_PLANE_TAINT];
  const labels = { [LABEL_CONTROL_PLANE]: "", [LABEL_EXCLUDE_LB]: "" };
  step(`Marking the node ${name} as control-plane by adding the labels: [${Object.keys(labels).join(" ")}]`);
  if (taints.length > 0)
    step(
      `Marking the node ${name} as control-plane by adding the taints [${taints.map((t) => `${t.key}:${t.effect}`).join(" ")}]`,
    );
  const cluster = await access.cluster();
  const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
  const mark = async () => {
    const current = await cluster.get("v1", "Node", name);
    if (!current) return false;
    const kept = (mapsOf(mapOf(current["spec"])?.["taints"]) as unknown as Taint[]).filter(
      (t) => !taints.some((ours) => ours.key === t.key && ours.effect === t.effect),
    );
    // The resource version makes the API server refuse if the node's taints changed in between.
    const { resourceVersion } = current.metadata as { resourceVersion?: string };
    await cluster.mergePatch(node, {
      metadata: { labels, ...(resourceVersion ? { resourceVersion } : {}) },
      spec: { taints: [...kept, ...taints] },
    });
    return true;
  };
  await until(mark, {
    limitMs: cp.callTimeoutMs,
    pauseMs: POLL_MS,
    passes: (error) => error instanceof ApiError && error.status === 409,
    what: `the kubelet has not registered the node ${name} with the API server`,
    hint: `look at its log: ${services.logCommand("kubelet")}`,
  });
}
