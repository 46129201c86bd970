import type { ApiClient } from "../api/client.ts";
import { mapOf, mapsOf, textsOf } from "../api/fields.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "../api/rbac.ts";
import { collectionPath, objectPath } from "../api/resources.ts";
import { GROUP_BOOTSTRAPPERS, GROUP_NODES, NAMESPACE_SYSTEM } from "../constants/names.ts";
import { CM_KUBESTICK, FLAT, ROLE_NODE_AGENT } from "../constants/network.ts";
import { type Cidr, formatCidr, parseCidr } from "../net/ip.ts";
import { readAnyKubeadmConfig } from "./config.ts";

/** A range out of which the control plane gives each node a network of `nodeBits` bits for its pods. */
export interface PodRange {
  cidr: Cidr;
  nodeBits: number;
}

/** What the control plane says of the cluster's networks. Nodes cannot write any of it. */
export interface ClusterNetwork {
  /** Who makes the pods' network: `flat` is kubestick's own; undefined where kubestick did not make the cluster. */
  kind?: string;
  podRanges: PodRange[];
  /** Ranges of the Services' addresses, in CIDR notation. */
  serviceRanges: string[];
}

/** The controller manager's mask sizes where no flag says another (kube-controller-manager app/core.go). */
const NODE_BITS = { 4: 24, 6: 64 } as const;

type Component = { extraArgs?: unknown } | undefined;

/** The last value of a component's flag, out of v1beta4's list or v1beta3's map. */
function flagOf(component: Component, name: string): string | undefined {
  const args = component?.extraArgs;
  const found = Array.isArray(args)
    ? (args as ({ name?: unknown; value?: unknown } | null)[]).findLast((arg) => arg?.name === name)?.value
    : (args as Record<string, unknown> | null | undefined)?.[name];
  return found === undefined || found === null ? undefined : String(found);
}

const cidrsIn = (text: unknown): Cidr[] =>
  String(text ?? "")
    .split(",")
    .flatMap((part) => parseCidr(part.trim()) ?? []);

/**
 * The networks that a ClusterConfiguration names, with the flags of its components that change them; empty lists where
 * it names none. Not only this version's configuration: nodes join clusters whose version kubestick does not know.
 */
export function networksOf(cluster: object): Pick<ClusterNetwork, "podRanges" | "serviceRanges"> {
  const { networking, apiServer, controllerManager } = cluster as {
    networking?: { podSubnet?: unknown; serviceSubnet?: unknown };
    apiServer?: Component;
    controllerManager?: Component;
  };
  const bitsFor = (family: 4 | 6) =>
    Number(
      flagOf(controllerManager, `node-cidr-mask-size-ipv${family}`) ??
        flagOf(controllerManager, "node-cidr-mask-size") ??
        NODE_BITS[family],
    );
  const pods = cidrsIn(flagOf(controllerManager, "cluster-cidr") ?? networking?.podSubnet);
  return {
    podRanges: pods.map((cidr) => ({ cidr, nodeBits: bitsFor(cidr.family) })),
    serviceRanges: cidrsIn(flagOf(apiServer, "service-cluster-ip-range") ?? networking?.serviceSubnet).map(formatCidr),
  };
}

/** What the cluster keeps about its network, for its nodes, and what a node's agent may read besides what a kubelet may. */
export function networkObjects(network: string): object[] {
  const name = "kubestick:config";
  const readers = [GROUP_BOOTSTRAPPERS, GROUP_NODES].map((group) => ({ kind: "Group" as const, name: group }));
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: CM_KUBESTICK, namespace: NAMESPACE_SYSTEM },
      data: { network },
    },
    role(NAMESPACE_SYSTEM, name, [
      { apiGroups: [""], resourceNames: [CM_KUBESTICK], resources: ["configmaps"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, name, name, readers),
    clusterRole(ROLE_NODE_AGENT, [
      { apiGroups: ["networking.k8s.io"], resources: ["servicecidrs"], verbs: ["list"] },
      // The node authorizer lets a kubelet see its own Node only (KEP-4601).
      ...(network === FLAT ? [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] }] : []),
    ]),
    clusterRoleBinding(ROLE_NODE_AGENT, ROLE_NODE_AGENT, [{ kind: "Group", name: GROUP_NODES }]),
  ];
}

/**
 * Reads what the control plane says of the cluster's networks, as far as this client may: kubeadm's ConfigMap, which
 * every node may read in kubeadm's clusters too, kubestick's own, and the ServiceCIDRs (KEP-1880), by which ranges are
 * added later. Undefined where kubeadm's cannot be read, or says nothing; a refusal of it is final after `patienceMs`.
 */
export async function readClusterNetwork(
  client: Pick<ApiClient, "callIfAllowed">,
  patienceMs = 0,
): Promise<ClusterNetwork | undefined> {
  // An API server that lets this be read knows who has which rights; what it refuses after that, it refuses for good.
  const configuration = await readAnyKubeadmConfig(client, patienceMs);
  if (!configuration) return undefined;
  const [own, serviceCidrs] = await Promise.all([
    client.callIfAllowed("GET", objectPath("v1", "ConfigMap", CM_KUBESTICK, NAMESPACE_SYSTEM)),
    client.callIfAllowed<Record<string, unknown>>("GET", collectionPath("networking.k8s.io/v1", "ServiceCIDR")),
  ]);
  const networks = networksOf(configuration);
  const added = mapsOf(serviceCidrs?.["items"]).flatMap((item) => {
    const cidrs = mapOf(item["spec"])?.["cidrs"];
    return (Array.isArray(cidrs) ? cidrs : []).flatMap(cidrsIn).map(formatCidr);
  });
  const kind = textsOf(own?.["data"])["network"];
  return {
    ...(kind ? { kind } : {}),
    podRanges: networks.podRanges,
    serviceRanges: [...new Set([...networks.serviceRanges, ...added])],
  };
}
