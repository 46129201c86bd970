import type { Cluster } from "../api/cluster.ts";
import { ApiError } from "../api/errors.ts";
import { mapOf, textsOf } from "../api/fields.ts";
import type { KubeObject } from "../api/resources.ts";

const IP_ADDRESS = ["networking.k8s.io/v1", "IPAddress"] as const;

/**
 * Applies a Service with addresses of its own. An API server that was cut off while it made one keeps its address for a
 * Service that is not there, and gives it to nobody for minutes (KEP-1880, repairip.go): such an address is freed, where
 * it is kept for this very Service. Throws ApiError.
 */
export async function applyService(cluster: Cluster, service: KubeObject): Promise<void> {
  try {
    await cluster.apply(service);
  } catch (error) {
    if (!isAllocated(error) || !(await freeAddresses(cluster, service))) throw error;
    await cluster.apply(service);
  }
}

const isAllocated = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 422 && error.message.includes("provided IP is already allocated");

/** Frees the addresses that are kept for this Service, if it is not there. Gives whether there was any. */
async function freeAddresses(cluster: Cluster, service: KubeObject): Promise<boolean> {
  const { name, namespace } = service.metadata;
  if (await cluster.get("v1", "Service", name, namespace)) return false;
  const { clusterIP, clusterIPs } = mapOf(service["spec"]) as { clusterIP?: string; clusterIPs?: string[] };
  let freed = false;
  for (const address of clusterIPs ?? (clusterIP ? [clusterIP] : [])) {
    const kept = await cluster.get(...IP_ADDRESS, address);
    const parent = textsOf(mapOf(kept?.["spec"])?.["parentRef"]);
    if (parent["resource"] !== "services" || parent["name"] !== name || parent["namespace"] !== namespace) continue;
    freed = (await cluster.delete(...IP_ADDRESS, address)) || freed;
  }
  return freed;
}
