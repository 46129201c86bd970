import { clusterRole, clusterRoleBinding, serviceAccount } from "../api/rbac.ts";
import type { InitConfig } from "../config/init-config.ts";
import { dnsAddresses } from "../config/kinds/kubelet.ts";
import { CM_COREDNS, NAMESPACE_SYSTEM, TAINT_CONTROL_PLANE } from "../constants/names.ts";
import { COREDNS_METRICS_PORT } from "../constants/ports.ts";
import { corednsImage, podPullPolicy } from "../manifests/images.ts";

const LABELS = { "k8s-app": "kube-dns" };

/**
 * kubeadm's Corefile (kubeadm addons/dns/manifests.go). On a host without a nameserver that pods could reach it has no
 * `forward`: CoreDNS would forward to itself, see the loop and exit.
 */
export function corefile(domain: string, forward: boolean): string {
  const forwarding = `    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
`;
  return `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes ${domain} in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :${COREDNS_METRICS_PORT}
${forward ? forwarding : ""}    cache 30 {
       disable success ${domain}
       disable denial ${domain}
    }
    loop
    reload
    loadbalance
}
`;
}

/** CoreDNS' ConfigMap; one that is already there is the administrator's and is kept. */
export function corednsConfigMap(config: InitConfig, forward: boolean): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: CM_COREDNS, namespace: NAMESPACE_SYSTEM },
    data: { Corefile: corefile(config.cluster.networking.dnsDomain, forward) },
  };
}

/** CoreDNS' Deployment, before patches (kubeadm addons/dns/manifests.go). */
export function corednsDeployment(config: InitConfig): Record<string, unknown> {
  const port = (name: string, containerPort: number, protocol = "TCP") => ({ containerPort, name, protocol });
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { labels: LABELS, name: "coredns", namespace: NAMESPACE_SYSTEM },
    spec: {
      replicas: 2,
      selector: { matchLabels: LABELS },
      strategy: { rollingUpdate: { maxUnavailable: 1 }, type: "RollingUpdate" },
      template: {
        metadata: { labels: LABELS },
        spec: {
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  podAffinityTerm: {
                    labelSelector: { matchExpressions: [{ key: "k8s-app", operator: "In", values: ["kube-dns"] }] },
                    topologyKey: "kubernetes.io/hostname",
                  },
                  weight: 100,
                },
              ],
            },
          },
          containers: [
            {
              args: ["-conf", "/etc/coredns/Corefile"],
              image: corednsImage(config.cluster),
              imagePullPolicy: podPullPolicy(config.nodeRegistration),
              livenessProbe: {
                failureThreshold: 5,
                httpGet: { path: "/health", port: "liveness-probe", scheme: "HTTP" },
                initialDelaySeconds: 60,
                successThreshold: 1,
                timeoutSeconds: 5,
              },
              name: "coredns",
              ports: [
                port("dns", 53, "UDP"),
                port("dns-tcp", 53),
                port("metrics", COREDNS_METRICS_PORT),
                port("liveness-probe", 8080),
                port("readiness-probe", 8181),
              ],
              readinessProbe: { httpGet: { path: "/ready", port: "readiness-probe", scheme: "HTTP" } },
              resources: { limits: { memory: "170Mi" }, requests: { cpu: "100m", memory: "70Mi" } },
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] },
                readOnlyRootFilesystem: true,
              },
              volumeMounts: [{ mountPath: "/etc/coredns", name: "config-volume", readOnly: true }],
            },
          ],
          dnsPolicy: "Default",
          nodeSelector: { "kubernetes.io/os": "linux" },
          priorityClassName: "system-cluster-critical",
          serviceAccountName: "coredns",
          tolerations: [
            { key: "CriticalAddonsOnly", operator: "Exists" },
            { key: TAINT_CONTROL_PLANE, effect: "NoSchedule" },
          ],
          volumes: [
            { configMap: { items: [{ key: "Corefile", path: "Corefile" }], name: CM_COREDNS }, name: "config-volume" },
          ],
        },
      },
    },
  };
}

/** CoreDNS' Service: the tenth address of the service network (of each, when dual-stack). */
export function corednsService(config: InitConfig): object {
  const addresses = dnsAddresses(config.cluster.networking);
  const port = (name: string, number: number, protocol = "TCP") => ({
    name,
    port: number,
    protocol,
    targetPort: number,
  });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      annotations: { "prometheus.io/port": String(COREDNS_METRICS_PORT), "prometheus.io/scrape": "true" },
      labels: { ...LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
      name: "kube-dns",
      namespace: NAMESPACE_SYSTEM,
    },
    spec: {
      clusterIP: addresses[0],
      ...(addresses.length > 1 ? { clusterIPs: addresses, ipFamilyPolicy: "PreferDualStack" } : {}),
      ports: [port("dns", 53, "UDP"), port("dns-tcp", 53), port("metrics", COREDNS_METRICS_PORT)],
      selector: LABELS,
    },
  };
}

/** CoreDNS' identity and rights (kubeadm addons/dns/manifests.go). */
export function corednsRbac(): object[] {
  const watch = ["list", "watch"];
  return [
    serviceAccount("coredns"),
    clusterRole("system:coredns", [
      { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: watch },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: watch },
    ]),
    clusterRoleBinding("system:coredns", "system:coredns", [
      { kind: "ServiceAccount", name: "coredns", namespace: NAMESPACE_SYSTEM },
    ]),
  ];
}
