/** The Kubernetes version this executable installs when none is asked for; nothing is ever looked up on the Internet. */
export const KUBERNETES_VERSION = "v1.36.2";

/** The control plane versions this executable deploys: from this one, to every patch release of the newest's minor. */
export const MINIMUM_CONTROL_PLANE_VERSION = "v1.35.0";
export const NEWEST_CONTROL_PLANE_VERSION = "v1.37.0";

/**
 * When this source was released, UTC. A host clock before this date is wrong (boards without a battery clock start in
 * 1970), and certificates made with it would not be valid anywhere else.
 */
export const BUILD_DATE = "2026-11-01T00:00:00Z";

/** Where the control plane's images come from, unless `imageRepository` says otherwise. */
export const DEFAULT_IMAGE_REPOSITORY = "registry.k8s.io";

/** First etcd release that takes `--feature-gates` and stable flag names instead of `--experimental-*`. */
export const ETCD_STABLE_FLAGS_VERSION = "3.6.0";

/**
 * From this version on kubeadm writes kube-proxy's mode out: kube-proxy warns where none is set, since another one will be
 * the default later (kubernetes#139777).
 */
export const KUBE_PROXY_MODE_VERSION = "v1.37.0";

/** Oldest containerd that a kubelet can use: the first with CRI v1. */
export const MINIMUM_CONTAINERD_VERSION = "v1.6.0";
