import type { ParsedConfig } from "./load.ts";

/**
 * Brings the names of other hosts than the node itself into lower case, in place: a name's case means nothing (RFC 4343).
 * kubeadm does it with SANs, and refuses other endpoints than lower case ones.
 */
export function lowerHostNames({ cluster, join }: Pick<ParsedConfig, "cluster" | "join">): void {
  if (cluster?.controlPlaneEndpoint !== undefined)
    cluster.controlPlaneEndpoint = cluster.controlPlaneEndpoint.toLowerCase();
  if (cluster?.apiServer?.certSANs)
    cluster.apiServer.certSANs = cluster.apiServer.certSANs.map((name) => name.toLowerCase());
  const discovery = join?.discovery?.bootstrapToken;
  if (discovery?.apiServerEndpoint !== undefined)
    discovery.apiServerEndpoint = discovery.apiServerEndpoint.toLowerCase();
}
