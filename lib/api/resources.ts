import { own } from "../yaml/plain.ts";

/** A Kubernetes object, as far as this client looks into it. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [field: string]: unknown };
  [field: string]: unknown;
}

/** Plural resource names of the kinds that kubestick handles; cluster-wide ones are marked. */
const RESOURCES: Record<string, { plural: string; clusterWide?: boolean }> = {
  Namespace: { plural: "namespaces", clusterWide: true },
  Node: { plural: "nodes", clusterWide: true },
  Pod: { plural: "pods" },
  Secret: { plural: "secrets" },
  ConfigMap: { plural: "configmaps" },
  Service: { plural: "services" },
  ServiceAccount: { plural: "serviceaccounts" },
  DaemonSet: { plural: "daemonsets" },
  Deployment: { plural: "deployments" },
  Role: { plural: "roles" },
  RoleBinding: { plural: "rolebindings" },
  ClusterRole: { plural: "clusterroles", clusterWide: true },
  ClusterRoleBinding: { plural: "clusterrolebindings", clusterWide: true },
  IPAddress: { plural: "ipaddresses", clusterWide: true },
  ServiceCIDR: { plural: "servicecidrs", clusterWide: true },
  Event: { plural: "events" },
  CertificateSigningRequest: { plural: "certificatesigningrequests", clusterWide: true },
};

/** Whether a kind's plural is known without asking the API server. */
export const isKnownKind = (kind: string): boolean => Object.hasOwn(RESOURCES, kind);

/** The path of an API group's version: `v1`, `apps/v1`. */
export const groupPath = (apiVersion: string): string =>
  apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

/** The path of a kind's collection. Throws RangeError for a kind that kubestick does not handle. */
export function collectionPath(apiVersion: string, kind: string, namespace?: string): string {
  const resource = own(RESOURCES, kind);
  if (!resource) throw new RangeError(`unknown kind ${kind}`);
  return `${groupPath(apiVersion)}${resource.clusterWide || namespace === undefined ? "" : `/namespaces/${namespace}`}/${resource.plural}`;
}

/** The path of one object. */
export function objectPath(apiVersion: string, kind: string, name: string, namespace?: string): string {
  return `${collectionPath(apiVersion, kind, namespace)}/${encodeURIComponent(name)}`;
}

/** `ConfigMap kube-system/coredns`, for messages. */
export function describeObject(object: KubeObject): string {
  const { name, namespace } = object.metadata;
  return `${object.kind} ${namespace ? `${namespace}/` : ""}${name}`;
}
