import { NAMESPACE_SYSTEM } from "../constants/names.ts";

/** A subject of a binding; API groups are filled in. */
export interface Subject {
  kind: "User" | "Group" | "ServiceAccount";
  name: string;
  namespace?: string;
}

/** A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1 PolicyRule). */
export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

const GROUP = "rbac.authorization.k8s.io";
const apiVersion = `${GROUP}/v1`;
const subjects = (list: Subject[]) =>
  list.map((s) => (s.kind === "ServiceAccount" ? { ...s } : { apiGroup: GROUP, ...s }));

/** A ServiceAccount. */
export const serviceAccount = (name: string, namespace = NAMESPACE_SYSTEM): object => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, namespace },
});

/** A ClusterRole. */
export const clusterRole = (name: string, rules: PolicyRule[]): object => ({
  apiVersion,
  kind: "ClusterRole",
  metadata: { name },
  rules,
});

/** A Role. */
export const role = (namespace: string, name: string, rules: PolicyRule[]): object => ({
  apiVersion,
  kind: "Role",
  metadata: { name, namespace },
  rules,
});

/** A ClusterRoleBinding to a ClusterRole. */
export const clusterRoleBinding = (name: string, roleName: string, to: Subject[]): object => ({
  apiVersion,
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: GROUP, kind: "ClusterRole", name: roleName },
  subjects: subjects(to),
});

/** A RoleBinding to a Role of the same namespace. */
export const roleBinding = (namespace: string, name: string, roleName: string, to: Subject[]): object => ({
  apiVersion,
  kind: "RoleBinding",
  metadata: { name, namespace },
  roleRef: { apiGroup: GROUP, kind: "Role", name: roleName },
  subjects: subjects(to),
});
