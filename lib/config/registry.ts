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

/** kubeadm's kinds that kubestick knows by name only. */
const FOREIGN = ["ResetConfiguration", "UpgradeConfiguration", "ClusterStatus"];

/** What the kinds of a configuration are called, for a person who has to write one. */
const known = (names: Iterable<string>) => `known: ${[...names].join(", ")}`;

/**
 * The kind that a document says to be of; "foreign" where it is one of kubeadm's that no command here reads, and what is
 * wrong where nobody knows it.
 */
export function kindOf(apiVersion: string | undefined, kind: string | undefined): Kind | "foreign" | { wrong: string } {
  if (!apiVersion) return { wrong: 'needs "apiVersion", such as kubeadm.k8s.io/v1beta4' };
  if (!kind) return { wrong: 'needs "kind", such as ClusterConfiguration' };
  const versions = new Set(KINDS.map((k) => k.apiVersion));
  const guess = (name: string, names: Iterable<string>) => {
    const near = suggest(name, names);
    return near ? `did you mean "${near}"?` : known(names);
  };
  if (!versions.has(apiVersion)) return { wrong: `unknown apiVersion "${apiVersion}"; ${guess(apiVersion, versions)}` };
  const kinds = KINDS.filter((k) => k.apiVersion === apiVersion);
  const found = kinds.find((k) => k.kind === kind);
  if (found) return found;
  if (apiVersion.startsWith("kubeadm.") && FOREIGN.includes(kind)) return "foreign";
  const names = kinds.map((k) => k.kind);
  return { wrong: `unknown kind "${kind}" in ${apiVersion}; ${guess(kind, names)}` };
}
