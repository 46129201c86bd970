/** The Kubernetes version this executable installs when none is asked for; nothing is ever looked up on the Internet. */
export const KUBERNETES_VERSION = "v1.36.2";

/** Oldest control plane version this executable deploys: kubeadm supports its own minor version and the one before. */
export const MINIMUM_CONTROL_PLANE_VERSION = "v1.35.0";

/** How many minor versions a kubelet may be older than its API server (Kubernetes version skew policy). */
export const KUBELET_SKEW_MINORS = 3;

/**
 * When this source was released, UTC. A host clock before this date is wrong (boards without a battery clock start in
 * 1970), and certificates made with it would not be valid anywhere else.
 */
export const BUILD_DATE = "2026-11-01T00:00:00Z";

/** Component image tags that kubeadm v1.36 pairs with its Kubernetes version (kubeadm constants.go). */
export const ETCD_IMAGE_TAG = "3.6.8-0";
export const COREDNS_IMAGE_TAG = "v1.14.2";
export const DEFAULT_IMAGE_REPOSITORY = "registry.k8s.io";

/** First etcd release that takes `--feature-gates` and stable flag names instead of `--experimental-*`. */
export const ETCD_STABLE_FLAGS_VERSION = "3.6.0";

/** Oldest containerd that a kubelet can use: the first with CRI v1. */
export const MINIMUM_CONTAINERD_VERSION = "v1.6.0";
