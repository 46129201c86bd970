import { companionsOf } from "../config/companions.ts";
import type { ClusterConfiguration } from "../config/kinds/cluster.ts";
import type { NodeRegistration } from "../config/kinds/fields.ts";
import { DEFAULT_IMAGE_REPOSITORY } from "../constants/versions.ts";

/** The image of a control plane component or kube-proxy, tagged with the Kubernetes version (kubeadm images.go). */
export function kubernetesImage(c: ClusterConfiguration, component: string): string {
  // A build's metadata (+) cannot stand in a tag.
  return `${c.imageRepository}/${component}:${c.kubernetesVersion.replace("+", "_")}`;
}

/** The tag of etcd's image, which decides the flags that it takes. */
export function etcdImageTag(c: ClusterConfiguration): string {
  return c.etcd.local?.imageTag || companionsOf(c.kubernetesVersion).etcd;
}

/** etcd's image. */
export function etcdImage(c: ClusterConfiguration): string {
  return `${c.etcd.local?.imageRepository || c.imageRepository}/etcd:${etcdImageTag(c)}`;
}

/** CoreDNS' image: only the default registry keeps it one level down (kubeadm images.go GetDNSImage). */
export function corednsImage(c: ClusterConfiguration): string {
  const repository = c.dns.imageRepository || c.imageRepository;
  const path = repository === DEFAULT_IMAGE_REPOSITORY ? "coredns/coredns" : "coredns";
  return `${repository}/${path}:${c.dns.imageTag || companionsOf(c.kubernetesVersion).coredns}`;
}

/** The image of the pods' own containers, which `kubeadm upgrade plan` also starts a Job of (kubeadm images.go). */
export function pauseImage(c: ClusterConfiguration): string {
  return `${c.imageRepository}/pause:${companionsOf(c.kubernetesVersion).pause}`;
}

/**
 * The pull policy of pods that kubestick makes: kubeadm's IfNotPresent whatever the node's is, for an image that is here
 * must do when there is no network; but a node that never pulls does not pull for them either.
 */
export function podPullPolicy(node: Partial<NodeRegistration>): string {
  return node.imagePullPolicy === "Never" ? "Never" : "IfNotPresent";
}

/** Every image that a control plane node needs. */
export function requiredImages(c: ClusterConfiguration): string[] {
  return [
    ...["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((name) => kubernetesImage(c, name)),
    ...(c.proxy.disabled ? [] : [kubernetesImage(c, "kube-proxy")]),
    ...(c.dns.disabled ? [] : [corednsImage(c)]),
    ...(c.etcd.external ? [] : [etcdImage(c)]),
  ];
}
