/** TCP ports of the control plane (https://kubernetes.io/docs/reference/networking/ports-and-protocols/). */
export const API_SERVER_PORT = 6443;
export const KUBE_SCHEDULER_PORT = 10259;
export const KUBE_CONTROLLER_MANAGER_PORT = 10257;
export const KUBELET_PORT = 10250;
export const KUBELET_HEALTHZ_PORT = 10248;
export const ETCD_CLIENT_PORT = 2379;
export const ETCD_PEER_PORT = 2380;
export const ETCD_METRICS_PORT = 2381;
export const COREDNS_METRICS_PORT = 9153;
