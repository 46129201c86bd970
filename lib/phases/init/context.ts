import type { DryRunCluster } from "../../api/cluster.ts";
import type { ClusterAccess } from "../../cluster/access.ts";
import type { InitConfig } from "../../config/init-config.ts";
import { NAMESPACE_PUBLIC } from "../../constants/names.ts";
import { type Node, type NodeOptions, openNode } from "../../edge/node.ts";
import { familiesOf } from "../../net/ip.ts";
import { adminAccess, ControlPlane } from "../control-plane.ts";

/** What `init` was asked to do besides its configuration. */
export interface InitAsked {
  /** The pods' network: `flat`, `none`, or a file of a provider's manifests. */
  network: string;
  uploadCerts: boolean;
  skipTokenPrint: boolean;
  skipCertificateKeyPrint: boolean;
  ignorePreflightErrors: Set<string>;
}

/** What the phases of `init` work on. */
export interface Init {
  node: Node;
  cp: ControlPlane;
  /** The new cluster, with an administrator's rights. */
  access: ClusterAccess;
  asked: InitAsked;
  /** What a dry run would have made in the cluster; undefined where it is made. */
  notes: DryRunCluster | undefined;
  /** What the uploaded certificates are encrypted with: the user's, or the one that `upload-certs` makes. */
  certificateKey: string | undefined;
}

/** Of a node, what `init` cannot take from its configuration. */
export type InitNode = Omit<NodeOptions, "name" | "criSocket" | "kubernetesVersion" | "families" | "patchesDirectory">;

/** Makes what the phases of `init` work on. Nothing is read or changed yet but the ledger. */
export function openInit(config: InitConfig, host: InitNode, asked: InitAsked): Init {
  const { networking, kubernetesVersion } = config.cluster;
  const { name, criSocket } = config.nodeRegistration;
  const node = openNode({
    ...host,
    name,
    criSocket,
    kubernetesVersion,
    families: familiesOf(networking.podSubnet || networking.serviceSubnet),
    patchesDirectory: config.patches?.directory,
  });
  const cp = new ControlPlane(node, config);
  const notes = node.notes(madeByItself(name));
  const access = adminAccess(cp, cp.servers.local, notes);
  return { node, cp, access, asked, notes, certificateKey: config.certificateKey || undefined };
}

/** What a cluster's own components make, which a dry run takes for granted. */
export const madeByItself = (node: string) => [
  { apiVersion: "v1", kind: "Node", metadata: { name: node } },
  { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE_PUBLIC } },
];

/** Ends every connection, so that the process can end. */
export async function closeInit({ node, access }: Pick<Init, "node" | "access">): Promise<void> {
  node.cri.close();
  await access.close();
}
