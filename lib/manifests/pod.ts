import type { HostPathMount } from "../config/kinds/control-plane.ts";
import type { Arg, EnvVar } from "../config/kinds/fields.ts";
import { NAMESPACE_SYSTEM } from "../constants/names.ts";
import { readYaml } from "../yaml/read.ts";

/** What differs between the static pods of a control plane. */
export interface StaticPod {
  component: string;
  image: string;
  /** Default flags; a user's flag of the same name replaces them (`--name=value`). */
  args: Record<string, string>;
  extraArgs?: Arg[];
  extraEnvs?: EnvVar[];
  /** It talks to its own peers only, so no proxy is of any use to it. */
  ownNetworkOnly?: boolean;
  extraVolumes?: HostPathMount[];
  mounts: HostPathMount[];
  requests: Record<string, string>;
  imagePullPolicy: string;
  annotations?: Record<string, string>;
  /** How long it may take to start before the kubelet starts it again. */
  startupMs: number;
  /** `host` is undefined where the pod's own address is asked. */
  probe: {
    host: string | undefined;
    port: number;
    scheme: "HTTP" | "HTTPS";
    live: string;
    startup: string;
    ready?: string;
  };
}

/** The value of a user's flag, its last where it is given more than once. */
export const argOf = (args: Arg[] | undefined, name: string): string | undefined =>
  args?.findLast((a) => a.name === name)?.value;

/** Proxy settings of init's own environment, which kubeadm hands to the control plane and kube-proxy (kubeadm util/env.go). */
export function proxyVariables(environment: Record<string, string | undefined>): EnvVar[] {
  const names = Object.keys(environment).filter((name) => /_proxy$/i.test(name) && environment[name]);
  return names.sort().map((name) => ({ name, value: environment[name]! }));
}

/** Variables in the order of their names, the last of a name (kubeadm util/env.go MergeKubeadmEnvVars); no value is none. */
function mergeEnv(...lists: EnvVar[][]): EnvVar[] {
  const merged = new Map(lists.flat().map((variable) => [variable.name, variable]));
  return [...merged.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ value, ...variable }) => (value ? { ...variable, value } : variable));
}

/** A control plane's static pod as a plain object, in the shape that kubeadm writes (kubeadm controlplane/manifests.go). */
export function staticPod(
  pod: StaticPod,
  environment: Record<string, string | undefined> = {},
): Record<string, unknown> {
  const mounts = [...pod.mounts];
  for (const extra of pod.extraVolumes ?? []) {
    const same = mounts.findIndex((m) => m.name === extra.name);
    if (same === -1) mounts.push(extra);
    else mounts[same] = extra;
  }
  mounts.sort((a, b) => (a.name < b.name ? -1 : 1));
  const env = mergeEnv(pod.ownNetworkOnly ? [] : proxyVariables(environment), pod.extraEnvs ?? []);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(pod.annotations ? { annotations: pod.annotations } : {}),
      labels: { component: pod.component, tier: "control-plane" },
      name: pod.component,
      namespace: NAMESPACE_SYSTEM,
    },
    spec: {
      containers: [
        {
          command: [pod.component, ...mergeArgs(Object.entries(pod.args), pod.extraArgs ?? [])],
          ...(env.length > 0 ? { env } : {}),
          image: pod.image,
          imagePullPolicy: pod.imagePullPolicy,
          livenessProbe: probe(pod, pod.probe.live, {
            failureThreshold: 8,
            initialDelaySeconds: 10,
            periodSeconds: 10,
          }),
          name: pod.component,
          ports: [{ containerPort: pod.probe.port, name: "probe-port", protocol: "TCP" }],
          ...(pod.probe.ready
            ? { readinessProbe: probe(pod, pod.probe.ready, { failureThreshold: 3, periodSeconds: 1 }) }
            : {}),
          resources: { requests: pod.requests },
          startupProbe: probe(pod, pod.probe.startup, {
            failureThreshold: Math.ceil(pod.startupMs / 10_000),
            initialDelaySeconds: 10,
            periodSeconds: 10,
          }),
          volumeMounts: mounts.map((m) => ({
            mountPath: m.mountPath,
            name: m.name,
            ...(m.readOnly ? { readOnly: true } : {}),
          })),
        },
      ],
      hostNetwork: true,
      priority: 2000001000,
      priorityClassName: "system-node-critical",
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
      volumes: mounts.map((m) => ({
        hostPath: { path: m.hostPath, ...(m.pathType === undefined ? { type: "" } : { type: m.pathType }) },
        name: m.name,
      })),
    },
    status: {},
  };
}

/**
 * The default flags in the order of their names, but for those that the user gives, and then the user's as they are given
 * (kubeadm util/arguments.go ArgumentsToCommand).
 */
export function mergeArgs(defaults: [string, string][], extra: Arg[]): string[] {
  const named = new Set(extra.map((arg) => arg.name));
  const kept = defaults.filter(([name]) => !named.has(name)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const given = extra.map((arg): [string, string] => [arg.name, arg.value ?? ""]);
  return [...kept, ...given].map(([name, value]) => `--${name}=${value}`);
}

function probe(pod: StaticPod, path: string, timing: Record<string, number>): object {
  const { host, scheme } = pod.probe;
  const httpGet = { ...(host === undefined ? {} : { host }), path, port: "probe-port", scheme };
  return { httpGet, timeoutSeconds: 15, ...timing };
}

/** The container of a static pod that its component runs in: a patch may have put others before it. */
export function mainContainer<C extends { name?: unknown }>(
  pod: { metadata?: { name?: unknown }; spec?: { containers?: C[] } } | undefined,
): C | undefined {
  const containers = pod?.spec?.containers;
  return containers?.find(({ name }) => name === pod?.metadata?.name) ?? containers?.[0];
}

/** The value of a flag in the command of a static pod's component; undefined where the text has none. */
export function commandFlag(manifest: string, flag: string): string | undefined {
  try {
    const pod = readYaml(manifest) as Parameters<typeof mainContainer<{ name?: unknown; command?: unknown[] }>>[0];
    const words = (mainContainer(pod)?.command ?? []).filter((word) => typeof word === "string");
    return words.find((word) => word.startsWith(`--${flag}=`))?.slice(flag.length + 3);
  } catch {
    return undefined;
  }
}
