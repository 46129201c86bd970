import type { Arg, EnvVar, HostPathMount } from "../config/types.ts";
import { NAMESPACE_SYSTEM } from "../constants/names.ts";
import { readYaml } from "../yaml/read.ts";

/** What differs between the static pods of a control plane. */
export interface StaticPod {
  component: string;
  image: string;
  /** Default flags; a user's flag of the same name replaces them (`--name=value`). */
  args: [string, string][];
  extraArgs?: Arg[];
  extraEnvs?: EnvVar[];
  extraVolumes?: HostPathMount[];
  mounts: HostPathMount[];
  requests: Record<string, string>;
  imagePullPolicy: string;
  annotations?: Record<string, string>;
  probe: { host: string; port: number; scheme: "HTTP" | "HTTPS"; live: string; startup: string; ready?: string };
}

/** Proxy settings of init's own environment, which kubeadm hands to the control plane (kubeadm util/env.go). */
const PROXY_VARIABLES = /^(http|https|no|all)_proxy$/i;

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
  const proxies = Object.keys(environment)
    .filter((name) => PROXY_VARIABLES.test(name) && environment[name])
    .sort()
    .map((name) => ({ name, value: environment[name]! }));
  const env: EnvVar[] = [
    ...proxies.filter((p) => !pod.extraEnvs?.some((e) => e.name === p.name)),
    ...(pod.extraEnvs ?? []),
  ];
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
          command: [pod.component, ...mergeArgs(pod.args, pod.extraArgs ?? [])],
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
            failureThreshold: 24,
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
 * Flags in order of their names, defaults first replaced by the user's; a flag that the user gives twice stays twice
 * (kubeadm util/arguments.go ArgumentsToCommand).
 */
export function mergeArgs(defaults: [string, string][], extra: Arg[]): string[] {
  const named = new Set(extra.map((arg) => arg.name));
  const all = [
    ...defaults.filter(([name]) => !named.has(name)),
    ...extra.map((arg): [string, string] => [arg.name, arg.value ?? ""]),
  ];
  return all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([name, value]) => `--${name}=${value}`);
}

function probe(pod: StaticPod, path: string, timing: Record<string, number>): object {
  const { host, scheme } = pod.probe;
  return { httpGet: { host, path, port: "probe-port", scheme }, timeoutSeconds: 15, ...timing };
}

/** The value of a flag in the command of a static pod's first container; undefined where the text has none. */
export function commandFlag(manifest: string, flag: string): string | undefined {
  try {
    const pod = readYaml(manifest) as { spec?: { containers?: { command?: unknown[] }[] } } | null;
    const words = (pod?.spec?.containers?.[0]?.command ?? []).filter((word) => typeof word === "string");
    return words.find((word) => word.startsWith(`--${flag}=`))?.slice(flag.length + 3);
  } catch {
    return undefined;
  }
}
