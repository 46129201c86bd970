import type { ChildProcess } from "node:child_process";
import { componentVersions, imageTagLines } from "./binaries.ts";
import type { TestNode } from "./node.ts";

/** Starts a node's kubelet whenever it has a configuration, as a service manager would: kubeadm brings none. */
export function kubeletLoop(node: TestNode): ChildProcess {
  return node.service("kubelet", [
    "while sleep 0.1; do [ -f /var/lib/kubelet/config.yaml ] && . /var/lib/kubelet/kubeadm-flags.env 2>/dev/null",
    "kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS; done",
  ]);
}

/** The configuration version that the kubeadm at hand reads, and the CRI socket as it wants it. */
const { supported } = componentVersions();
const KUBEADM_API = `kubeadm.k8s.io/${supported ? "v1beta4" : "v1beta2"}`;
const CRI_SOCKET = `${supported ? "unix://" : ""}/run/containerd/containerd.sock`;

/** A flag, because the configuration file is every node's, and kubelets on one kernel need cgroup roots of their own. */
const cgroupRoot = ({ cgroup }: TestNode) =>
  supported ? `[{name: cgroup-root, value: /${cgroup}}]` : `{cgroup-root: /${cgroup}}`;

/** The same cluster as a test node's, in the configuration version that the kubeadm at hand reads. */
export function kubeadmConfig(node: TestNode, extra = ""): string {
  const { kubernetes } = componentVersions();
  return `apiVersion: ${KUBEADM_API}
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef}]
nodeRegistration: {name: ${node.name}, criSocket: ${CRI_SOCKET}, kubeletExtraArgs: ${cgroupRoot(node)}}
localAPIEndpoint: {advertiseAddress: ${node.ip}}
---
apiVersion: ${KUBEADM_API}
kind: ClusterConfiguration
kubernetesVersion: ${kubernetes}
imageRepository: registry.k8s.io
networking: {podSubnet: 10.244.0.0/16}
${imageTagLines()}${extra}---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
${supported ? "failCgroupV1: false\n" : ""}failSwapOn: false
resolvConf: /etc/resolv.conf
`;
}

/** kubeadm's configuration of a node that joins, as a control plane when it is given a key. */
export function kubeadmJoinConfig(
  node: TestNode,
  cluster: { endpoint: string; token: string; pin: string; key?: string },
): string {
  return `apiVersion: ${KUBEADM_API}
kind: JoinConfiguration
nodeRegistration: {name: ${node.name}, criSocket: ${CRI_SOCKET}, kubeletExtraArgs: ${cgroupRoot(node)}}
discovery: {bootstrapToken: {token: ${cluster.token}, apiServerEndpoint: "${cluster.endpoint}", caCertHashes: ["${cluster.pin}"]}}
${cluster.key ? `controlPlane: {localAPIEndpoint: {advertiseAddress: ${node.ip}}, certificateKey: "${cluster.key}"}\n` : ""}`;
}

/**
 * Says in a cluster, in the words of a kubeadm before v1.22, what kubestick left there in those of v1.36: v1beta2
 * documents, the kubelet's ConfigMap under a name with the version. A kubeadm of today reads it as it is.
 */
export function speakOldKubeadm(node: TestNode): void {
  if (supported) return;
  const old = `kubelet-config-${minor()}`;
  const kubelet = data(node, "kubelet-config").kubelet!;
  const cluster = data(node, "kubeadm-config").ClusterConfiguration!;
  const { kubernetes, etcdTag } = componentVersions();
  const endpoint = /^controlPlaneEndpoint: (\S+)$/m.exec(cluster)![1];
  apply(node, "kubeadm-config", {
    ClusterConfiguration: `apiVersion: ${KUBEADM_API}
kind: ClusterConfiguration
clusterName: kubernetes
certificatesDir: /etc/kubernetes/pki
controlPlaneEndpoint: ${endpoint}
imageRepository: registry.k8s.io
kubernetesVersion: ${kubernetes}
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12, dnsDomain: cluster.local}
etcd: {local: {imageTag: ${etcdTag}, dataDir: /var/lib/etcd}}
`,
    ClusterStatus: `apiVersion: ${KUBEADM_API}
kind: ClusterStatus
apiEndpoints: {${node.name}: {advertiseAddress: ${node.ip}, bindPort: 6443}}
`,
  });
  apply(node, old, { kubelet });
  allow(node, old);
}

/** The other way: what an old kubeadm left in a cluster, in the words of today's. */
export function speakNewKubeadm(node: TestNode): void {
  if (supported) return;
  const { ClusterConfiguration } = data(node, "kubeadm-config");
  const today = ClusterConfiguration!.replace("v1beta2", "v1beta3").replace(/^dns:\n {2}type: CoreDNS$/m, "dns: {}");
  apply(node, "kubeadm-config", { ClusterConfiguration: today });
  apply(node, "kubelet-config", { kubelet: data(node, `kubelet-config-${minor()}`).kubelet! });
  allow(node, "kubelet-config");
  // The administrators' group, since v1.29.
  const admins = "kubeadm:cluster-admins";
  node.kubectl("create", "clusterrolebinding", admins, "--clusterrole=cluster-admin", `--group=${admins}`);
}

const minor = () => /\d+\.\d+/.exec(componentVersions().kubernetes)![0];

function data(node: TestNode, name: string): Record<string, string> {
  const text = node.kubectl("get", "configmap", "-n", "kube-system", name, "-o", "json");
  return (JSON.parse(text) as { data: Record<string, string> }).data;
}

function apply(node: TestNode, name: string, contents: Record<string, string>): void {
  node.write(
    "/etc/kubernetes/spoken.json",
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "kube-system" },
      data: contents,
    }),
  );
  const there = node.exec(["kubectl", "get", "configmap", "-n", "kube-system", name]).status === 0;
  node.kubectl(there ? "replace" : "create", "-f", "/etc/kubernetes/spoken.json");
}

/** Lets joining nodes read the kubelet's ConfigMap of that name, as kubeadm does. */
function allow(node: TestNode, name: string): void {
  const role = `kubeadm:${name}`;
  const groups = ["--group=system:nodes", "--group=system:bootstrappers:kubeadm:default-node-token"];
  const words = ["-n", "kube-system", role];
  node.kubectl("create", "role", ...words, "--verb=get", "--resource=configmaps", `--resource-name=${name}`);
  node.kubectl("create", "rolebinding", ...words, `--role=${role}`, ...groups);
}
