import type { ParsedConfig } from "./load.ts";

/** A node's name as kubeadm takes it (component-helpers node/util/hostname.go): lower case, without space around it. */
export const nodeName = (text: string): string => text.trim().toLowerCase();

/**
 * Brings the host names of a configuration into lower case, in place: boards are called "Raspberry", and a name's case
 * means nothing (RFC 4343). kubeadm does it with node names and SANs, and refuses other endpoints than lower case ones.
 */
export function lowerHostNames({ init, cluster, join }: Pick<ParsedConfig, "init" | "cluster" | "join">): void {
  for (const node of [init?.nodeRegistration, join?.nodeRegistration])
    if (node?.name !== undefined) node.name = nodeName(node.name);
  if (cluster?.controlPlaneEndpoint !== undefined)
    cluster.controlPlaneEndpoint = cluster.controlPlaneEndpoint.toLowerCase();
  if (cluster?.apiServer?.certSANs)
    cluster.apiServer.certSANs = cluster.apiServer.certSANs.map((name) => name.toLowerCase());
  const discovery = join?.discovery?.bootstrapToken;
  if (discovery?.apiServerEndpoint !== undefined)
    discovery.apiServerEndpoint = discovery.apiServerEndpoint.toLowerCase();
}
