import type { Arg } from "./types.ts";

type Plain = Record<string, unknown>;

/** v1beta3 wrote extra arguments as a map; v1beta4 has a list, so that a flag can be given more than once. */
function argList(value: unknown): Arg[] {
  return Object.entries(value as Record<string, string>)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value }));
}

function convertArgs(owner: unknown, field: string): void {
  const object = owner as Plain | undefined;
  if (object?.[field] !== undefined) object[field] = argList(object[field]);
}

/**
 * Turns the values of a kubeadm.k8s.io/v1beta3 document into v1beta4's shape, in place (kubeadm v1beta3
 * conversion.go): argument maps become lists, and the two timeouts move to `timeouts`. Returns the timeouts that a
 * ClusterConfiguration carried, which v1beta4 keeps in the InitConfiguration.
 */
export function convertV1beta3(kind: string, doc: Plain): Plain {
  if (kind === "ClusterConfiguration") {
    for (const name of ["apiServer", "controllerManager", "scheduler"]) convertArgs(doc[name], "extraArgs");
    convertArgs((doc["etcd"] as Plain | undefined)?.["local"], "extraArgs");
    const dns = doc["dns"] as Plain | undefined;
    if (dns) delete dns["type"];
    const api = doc["apiServer"] as Plain | undefined;
    const timeout = api?.["timeoutForControlPlane"];
    if (api) delete api["timeoutForControlPlane"];
    return timeout === undefined ? {} : { controlPlaneComponentHealthCheck: timeout };
  }
  convertArgs(doc["nodeRegistration"], "kubeletExtraArgs");
  const discovery = doc["discovery"] as Plain | undefined;
  if (discovery?.["timeout"] !== undefined) {
    doc["timeouts"] = { discovery: discovery["timeout"] };
    delete discovery["timeout"];
  }
  return {};
}
