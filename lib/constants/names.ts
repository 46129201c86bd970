/** Names of users, groups, RBAC objects, labels and taints; kubeadm's, so that its own tools know the cluster. */
export const CLUSTER_NAME = "kubernetes";
export const DNS_DOMAIN = "cluster.local";
export const SERVICE_SUBNET = "10.96.0.0/12";

/** Namespaces that every cluster has. */
export const NAMESPACE_SYSTEM = "kube-system";
export const NAMESPACE_PUBLIC = "kube-public";

/** Users and groups, by which RBAC gives rights. */
export const GROUP_MASTERS = "system:masters";
export const GROUP_CLUSTER_ADMINS = "kubeadm:cluster-admins";
export const GROUP_NODES = "system:nodes";
export const GROUP_BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token";
export const USER_ANONYMOUS = "system:anonymous";
/** The user of a bootstrap token is this and the token's id. */
export const USER_BOOTSTRAP_PREFIX = "system:bootstrap:";
export const USER_NODE_PREFIX = "system:node:";

/** Who signs the certificates that kubelets use as clients (KEP-1513). */
export const SIGNER_KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";

/** ConfigMaps and Secrets (CM_, SECRET_), and keys in them, as kubeadm names them. */
export const CM_KUBEADM_CONFIG = "kubeadm-config";
export const CM_KUBELET_CONFIG = "kubelet-config";
export const CM_CLUSTER_INFO = "cluster-info";
export const CM_KUBE_PROXY = "kube-proxy";
export const CM_COREDNS = "coredns";
export const SECRET_CERTS = "kubeadm-certs";
export const SECRET_TOKEN_PREFIX = "bootstrap-token-";
export const SECRET_TOKEN_TYPE = "bootstrap.kubernetes.io/token";
export const JWS_KEY_PREFIX = "jws-kubeconfig-";

/** Labels and taints of control plane nodes. */
export const LABEL_CONTROL_PLANE = "node-role.kubernetes.io/control-plane";
export const LABEL_EXCLUDE_LB = "node.kubernetes.io/exclude-from-external-load-balancers";
export const TAINT_CONTROL_PLANE = "node-role.kubernetes.io/control-plane";

/** Annotations of static pods and ConfigMaps that kubeadm reads again. */
export const ANNOTATION_APISERVER_ENDPOINT = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
export const ANNOTATION_ETCD_CLIENT_URLS = "kubeadm.kubernetes.io/etcd.advertise-client-urls";
export const ANNOTATION_CONFIG_HASH = "kubeadm.kubernetes.io/component-config.hash";

/** Who owns the fields that kubestick applies (server-side apply). */
export const FIELD_MANAGER = "kubestick";
export const USER_AGENT = "kubestick";
