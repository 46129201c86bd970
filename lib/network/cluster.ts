import type { ApiClient } from "../api/client.ts";
import { mapOf, mapsOf, textsOf } from "../api/fields.ts";
import { collectionPath, objectPath } from "../api/resources.ts";
import { CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM } from "../constants/names.ts";
import { CM_KUBESTICK } from "../constants/network.ts";
import { type Cidr, formatCidr, parseCidr } from "../net/ip.ts";
import { readYaml } from "../yaml/read.ts";

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

function readMapping(text: string): object | undefined {
  try {
    return mapOf(readYaml(text));
  } catch {
    return undefined;
  }
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
  const configMap = async (name: string, patience: number) => {
    const map = await client.callIfAllowed("GET", objectPath("v1", "ConfigMap", name, NAMESPACE_SYSTEM), patience);
    return textsOf(map?.["data"]);
  };
  // An API server that lets this be read knows who has which rights; what it refuses after that, it refuses for good.
  const kubeadm = await configMap(CM_KUBEADM_CONFIG, patienceMs);
  const configuration = readMapping(kubeadm["ClusterConfiguration"] ?? "");
  if (!configuration) return undefined;
  const [own, serviceCidrs] = await Promise.all([
    configMap(CM_KUBESTICK, 0),
    client.callIfAllowed<Record<string, unknown>>("GET", collectionPath("networking.k8s.io/v1", "ServiceCIDR")),
  ]);
  const networks = networksOf(configuration);
  const added = mapsOf(serviceCidrs?.["items"]).flatMap((item) => {
    const cidrs = mapOf(item["spec"])?.["cidrs"];
    return (Array.isArray(cidrs) ? cidrs : []).flatMap(cidrsIn).map(formatCidr);
  });
  const kind = own["network"];
  return {
    ...(kind ? { kind } : {}),
    podRanges: networks.podRanges,
    serviceRanges: [...new Set([...networks.serviceRanges, ...added])],
  };
}
