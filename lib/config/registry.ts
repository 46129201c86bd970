import { suggest } from "../util/suggest.ts";
import type { Kind, Slot } from "./kind.ts";
import { cluster, clusterV1beta3 } from "./kinds/cluster.ts";
import { init, initV1beta3 } from "./kinds/init.ts";
import { join, joinV1beta3 } from "./kinds/join.ts";
import { kubeProxy } from "./kinds/kube-proxy.ts";
import { kubelet } from "./kinds/kubelet.ts";

/** The current version of each kind, by its place in a configuration, in the order in which they are checked. */
export const CURRENT = { cluster, init, join, kubelet, kubeProxy } satisfies Record<Slot, Kind>;

/** Every kind of document that kubestick reads, each version of it by itself. */
export const KINDS = [init, initV1beta3, cluster, clusterV1beta3, join, joinV1beta3, kubelet, kubeProxy] as Kind[];

/** kubeadm's kinds that no command here reads. */
const FOREIGN = ["ResetConfiguration", "UpgradeConfiguration", "ClusterStatus"];

/** The kind that a document says to be of, or what is wrong with what it says; neither for kubeadm's that are not read here. */
export function kindOf(apiVersion: string | undefined, kind: string | undefined): { kind?: Kind; wrong?: string } {
  if (!apiVersion) return { wrong: 'needs "apiVersion", such as kubeadm.k8s.io/v1beta4' };
  if (!kind) return { wrong: 'needs "kind", such as ClusterConfiguration' };
  const unknown = (what: string, name: string, known: string[]) => {
    const near = suggest(name, known);
    return { wrong: `unknown ${what}; ${near ? `did you mean "${near}"?` : `known: ${known.join(", ")}`}` };
  };
  const kinds = KINDS.filter((k) => k.apiVersion === apiVersion);
  if (kinds.length === 0)
    return unknown(`apiVersion "${apiVersion}"`, apiVersion, [...new Set(KINDS.map((k) => k.apiVersion))]);
  const found = kinds.find((k) => k.kind === kind);
  if (found) return { kind: found };
  if (apiVersion.startsWith("kubeadm.") && FOREIGN.includes(kind)) return {};
  return unknown(
    `kind "${kind}" in ${apiVersion}`,
    kind,
    kinds.map((k) => k.kind),
  );
}
