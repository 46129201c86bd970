import { createHash } from "node:crypto";
import { clusterRoleBinding, role, roleBinding, serviceAccount } from "../api/rbac.ts";
import type { InitConfig } from "../config/init-config.ts";
import type { ComponentConfig } from "../config/kind.ts";
import type { EnvVar } from "../config/kinds/fields.ts";
import { kubeProxy } from "../config/kinds/kube-proxy.ts";
import { documentText, toDocument } from "../config/write.ts";
import { ANNOTATION_CONFIG_HASH, CM_KUBE_PROXY, GROUP_BOOTSTRAPPERS, NAMESPACE_SYSTEM } from "../constants/names.ts";
import { XTABLES_LOCK } from "../constants/paths.ts";
import type { HostFacts } from "../host/facts.ts";
import type { Adaptation } from "../kubelet/config.ts";
import { kubernetesImage, podPullPolicy } from "../manifests/images.ts";
import { applyPatches, type Patch } from "../manifests/patches.ts";
import { proxyVariables } from "../manifests/pod.ts";

/** kube-proxy's configuration (kubeadm componentconfigs/kubeproxy.go), fitted to this host where the user has not decided. */
export function kubeProxyConfig(
  config: InitConfig,
  conntrack: HostFacts["conntrack"],
): { config: ComponentConfig; adaptations: Adaptation[] } {
  const user = config.kubeProxy ?? {};
  const adaptations: Adaptation[] = [];
  const own: Record<string, unknown> = {};
  const given = (user["conntrack"] ?? {}) as Record<string, unknown>;
  const adapt = (field: string, value: unknown, why: string) => {
    if (given[field] !== undefined) return;
    own[field] = value;
    adaptations.push({ setting: `kube-proxy conntrack.${field}: ${JSON.stringify(value)}`, why });
  };
  if (!conntrack.max)
    adapt("maxPerCore", 0, "nf_conntrack_max is not ours to set here, and kube-proxy exits when it fails to");
  if (!conntrack.timeouts) {
    const why = "the conntrack time-outs are not ours to set here";
    adapt("tcpEstablishedTimeout", "0s", why);
    adapt("tcpCloseWaitTimeout", "0s", why);
  }
  const { networking, kubernetesVersion } = config.cluster;
  const { advertiseAddress } = config.localAPIEndpoint;
  const whole = kubeProxy.defaults(
    { ...user, ...(Object.keys(own).length > 0 ? { conntrack: { ...own, ...given } } : {}) },
    { networking, kubernetesVersion, advertiseAddress },
  );
  return { config: toDocument(kubeProxy, whole), adaptations };
}

/**
 * Everything that kube-proxy needs in the cluster, in the order of creation (kubeadm addons/proxy), its DaemonSet with the
 * user's patches. Throws KubestickError where one of them does not fit.
 */
export function kubeProxyObjects(
  config: InitConfig,
  server: string,
  proxyConfig: ComponentConfig,
  { patches, environment }: { patches: Patch[]; environment: Record<string, string | undefined> },
): object[] {
  const data = { "config.conf": documentText(proxyConfig).trimEnd(), "kubeconfig.conf": KUBECONFIG(server) };
  return [
    serviceAccount("kube-proxy"),
    clusterRoleBinding("kubeadm:node-proxier", "system:node-proxier", [
      { kind: "ServiceAccount", name: "kube-proxy", namespace: NAMESPACE_SYSTEM },
    ]),
    role(NAMESPACE_SYSTEM, "kube-proxy", [
      { apiGroups: [""], resourceNames: [CM_KUBE_PROXY], resources: ["configmaps"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, "kube-proxy", "kube-proxy", [{ kind: "Group", name: GROUP_BOOTSTRAPPERS }]),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        // kubeadm upgrade replaces a configuration that still has its hash: nobody has edited it.
        ...(config.kubeProxy ? {} : { annotations: { [ANNOTATION_CONFIG_HASH]: configHash(data) } }),
        labels: { app: "kube-proxy" },
        name: CM_KUBE_PROXY,
        namespace: NAMESPACE_SYSTEM,
      },
      data,
    },
    applyPatches(
      daemonSet(
        kubernetesImage(config.cluster, "kube-proxy"),
        podPullPolicy(config.nodeRegistration),
        proxyVariables(environment),
      ),
      "kubeproxydaemonset",
      patches,
    ),
  ];
}

/** kubeadm's checksum of a component's ConfigMap: its values in order of their keys (kubeadm componentconfigs/checksums.go). */
function configHash(data: Record<string, string>): string {
  const hash = createHash("sha256");
  for (const key of Object.keys(data).sort()) hash.update(data[key]!);
  return `sha256:${hash.digest("hex")}`;
}

const KUBECONFIG = (server: string) => `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: ${server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token`;

function daemonSet(image: string, imagePullPolicy: string, proxies: EnvVar[]): Record<string, unknown> {
  const labels = { "k8s-app": "kube-proxy" };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { labels, name: "kube-proxy", namespace: NAMESPACE_SYSTEM },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              command: [
                "/usr/local/bin/kube-proxy",
                "--config=/var/lib/kube-proxy/config.conf",
                "--hostname-override=$(NODE_NAME)",
              ],
              env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }, ...proxies],
              image,
              imagePullPolicy,
              name: "kube-proxy",
              securityContext: { privileged: true },
              volumeMounts: [
                { mountPath: "/var/lib/kube-proxy", name: "kube-proxy" },
                { mountPath: XTABLES_LOCK, name: "xtables-lock" },
                { mountPath: "/lib/modules", name: "lib-modules", readOnly: true },
              ],
            },
          ],
          hostNetwork: true,
          nodeSelector: { "kubernetes.io/os": "linux" },
          priorityClassName: "system-node-critical",
          serviceAccountName: "kube-proxy",
          tolerations: [{ operator: "Exists" }],
          volumes: [
            { configMap: { name: CM_KUBE_PROXY }, name: "kube-proxy" },
            { hostPath: { path: XTABLES_LOCK, type: "FileOrCreate" }, name: "xtables-lock" },
            { hostPath: { path: "/lib/modules" }, name: "lib-modules" },
          ],
        },
      },
      updateStrategy: { type: "RollingUpdate" },
    },
  };
}
