/** Where two values differ: a path and both sides. */
export interface Difference {
  path: string;
  ours: unknown;
  theirs: unknown;
}

/** What the API server fills in by itself (k8s.io/kubernetes pkg/apis/*\/v1/defaults.go), by field name. */
const API_DEFAULTS: Record<string, unknown[]> = {
  progressDeadlineSeconds: [600],
  revisionHistoryLimit: [10],
  maxSurge: ["25%", 0],
  maxUnavailable: [1],
  rollingUpdate: [{ maxSurge: 0, maxUnavailable: 1 }],
  failureThreshold: [3],
  periodSeconds: [10],
  successThreshold: [1],
  timeoutSeconds: [1],
  terminationMessagePath: ["/dev/termination-log"],
  terminationMessagePolicy: ["File"],
  restartPolicy: ["Always"],
  schedulerName: ["default-scheduler"],
  securityContext: [{}],
  resources: [{}],
  serviceAccount: ["coredns", "kube-proxy"],
  terminationGracePeriodSeconds: [30],
  dnsPolicy: ["ClusterFirst"],
  defaultMode: [420],
  apiVersion: ["v1"],
  type: ["", "ClusterIP"],
  clusterIPs: [["10.96.0.10"]],
  internalTrafficPolicy: ["Cluster"],
  ipFamilies: [["IPv4"]],
  ipFamilyPolicy: ["SingleStack"],
  sessionAffinity: ["None"],
};

/** Fields that the API server or its controllers write for themselves. */
const SERVER_SET = new Set(["deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"]);

/**
 * Where our object differs from what kubeadm left in a cluster. Lists of named things are compared by name; what only
 * the other side has is no difference when it is the API server's own default.
 */
export function differences(ours: unknown, theirs: unknown, path = ""): Difference[] {
  if (isObject(ours) && isObject(theirs)) {
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...keys].sort().flatMap((key) => {
      if (SERVER_SET.has(key)) return [];
      const at = path === "" ? key : `${path}.${key}`;
      if (ours[key] === undefined && API_DEFAULTS[key]?.some((value) => Bun.deepEquals(value, theirs[key]))) return [];
      if (
        ours[key] === undefined &&
        key === "annotations" &&
        Object.keys(theirs[key] as object).every((k) => SERVER_SET.has(k))
      )
        return [];
      return differences(ours[key], theirs[key], at);
    });
  }
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    const [a, b] = [ordered(ours), ordered(theirs)];
    const length = Math.max(a.length, b.length);
    return Array.from({ length }, (_, i) => differences(a[i], b[i], `${path}[${i}]`)).flat();
  }
  return Bun.deepEquals(ours, theirs) ? [] : [{ path, ours, theirs }];
}

/** Lists whose items have names are sets to Kubernetes; the order of others counts. */
function ordered(list: unknown[]): unknown[] {
  const key = (item: unknown) => (isObject(item) ? (item["mountPath"] ?? item["name"]) : undefined);
  if (!list.every((item) => key(item) !== undefined)) return list;
  return [...list].sort((a, b) => (String(key(a)) < String(key(b)) ? -1 : 1));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
