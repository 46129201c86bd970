import { statSync } from "node:fs";
import { MANIFESTS_DIR } from "../../constants/paths.ts";
import type { Sandbox } from "../../runtime/cri.ts";
import type { Say } from "../../ui/ui.ts";
import type { ControlPlane } from "../control-plane.ts";

/** A kubelet that can replace a pod does so in less; it looks at the directory of manifests at every change. */
const GRACE_MS = 5_000;
const COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/**
 * The sandboxes of static pods that are older than their manifests: what runs in them is not what is wanted any more.
 * `manifests` gives when each component's manifest was written, in milliseconds since the epoch.
 */
export function staleSandboxes(sandboxes: Sandbox[], node: string, manifests: Map<string, number>): Sandbox[] {
  return [...manifests].flatMap(([component, written]) =>
    sandboxes.filter(
      ({ pod, namespace, createdAt }) =>
        pod === `${component}-${node}` && namespace === "kube-system" && createdAt < BigInt(written) * 1_000_000n,
    ),
  );
}

/**
 * Ends static pods whose manifest has changed since, where the kubelet cannot: one that has not seen the API server since
 * it began deletes no pod (kubelet.go, "skipping delete because sources aren't ready yet"), so that a control plane
 * with a wrong flag would stay as it is for ever, however often its manifest is mended. Returns whether it did.
 */
export async function endStalePods({ node }: ControlPlane, step: Say): Promise<boolean> {
  const { files, cri, services, name } = node;
  const written = new Map(
    COMPONENTS.flatMap((component) => {
      const stat = statSync(files.real(`${MANIFESTS_DIR}/${component}.yaml`), { throwIfNoEntry: false });
      return stat && Date.now() - stat.mtimeMs > GRACE_MS ? [[component, Math.floor(stat.mtimeMs)] as const] : [];
    }),
  );
  const all = await cri.sandboxes().catch(() => []);
  const stale = staleSandboxes(all, name, written);
  if (stale.length === 0) return false;
  step(
    `Ending ${stale.map(({ pod }) => pod).join(", ")}: the manifest has changed since, and the kubelet replaces no pod before it has seen the API server`,
  );
  // A running kubelet would make them again.
  await services.stop("kubelet");
  for (const { id } of stale) await cri.removeSandbox(id);
  await services.restart("kubelet");
  return true;
}
