/** Where kubeadm puts things on a host; kubestick keeps every one of them (kubeadm constants.go). */
export const KUBERNETES_DIR = "/etc/kubernetes";
export const MANIFESTS_DIR = "/etc/kubernetes/manifests";
export const CERTIFICATES_DIR = "/etc/kubernetes/pki";
export const ETCD_DATA_DIR = "/var/lib/etcd";

/** The kubelet's own files. */
export const KUBELET_DIR = "/var/lib/kubelet";
export const KUBELET_CONFIG_FILE = "/var/lib/kubelet/config.yaml";
export const KUBELET_INSTANCE_CONFIG_FILE = "/var/lib/kubelet/instance-config.yaml";
export const KUBELET_FLAGS_FILE = "/var/lib/kubelet/kubeadm-flags.env";
/** The kubelet's certificates and keys, and the link to the pair that it uses as a client (client-go certificate_store.go). */
export const KUBELET_PKI_DIR = "/var/lib/kubelet/pki";
export const KUBELET_CLIENT_CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/** The key that a certificate was asked for with, until it is there; a kubelet knows it too. */
export const KUBELET_CLIENT_KEY_PENDING = "/var/lib/kubelet/pki/kubelet-client.key.tmp";
export const KUBELET_BOOTSTRAP_KUBECONFIG = "/etc/kubernetes/bootstrap-kubelet.conf";
export const KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf";
export const ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf";

/** The lock of iptables, which kube-proxy makes where there is none. */
export const XTABLES_LOCK = "/run/xtables.lock";
export const POD_LOGS_DIR = "/var/log/pods";
export const DEFAULT_CRI_SOCKET = "unix:///run/containerd/containerd.sock";

/** kubestick's own state: what it wrote, and the services that it runs itself. */
export const STATE_DIR = "/var/lib/kubestick";
export const LEDGER_FILE = "/var/lib/kubestick/ledger.json";
/** What was on this host before kubestick replaced it, each below its own path: /var/lib/kubestick/replaced/etc/... */
export const REPLACED_DIR = "/var/lib/kubestick/replaced";
/** Which cluster was made on this host. */
export const CLUSTER_FILE = "/var/lib/kubestick/cluster.json";
/** Locked by whoever changes the host. */
export const LOCK_FILE = "/var/lib/kubestick/lock";
/** The kubestick that services run: the one that was started is perhaps on a stick. */
export const OWN_EXECUTABLE = "/var/lib/kubestick/bin/kubestick";
export const SERVICES_DIR = "/var/lib/kubestick/services";
export const RUN_DIR = "/run/kubestick";
export const LOG_DIR = "/var/log/kubestick";
/** There while the kubelet must be restarted to read its new configuration. */
export const KUBELET_RESTART_MARK = "/var/lib/kubestick/kubelet-restart";
/** There while containerd must be restarted to read its new configuration. */
export const CONTAINERD_RESTART_MARK = "/var/lib/kubestick/containerd-restart";
/** The kubelet's resolv.conf on a host whose own has nameservers that pods cannot reach, or none. */
export const OWN_RESOLV_CONF = "/var/lib/kubestick/resolv.conf";
/** Where a dry run with `--rootfs` leaves the API objects that it would have created. */
export const DRY_RUN_OBJECTS_DIR = "/var/lib/kubestick/dry-run";

/** Which nameservers this host asks. */
export const HOST_RESOLV_CONF = "/etc/resolv.conf";
/** systemd-resolved's file with the real upstream servers; /etc/resolv.conf then holds only its loopback stub. */
export const SYSTEMD_RESOLVED_CONF = "/run/systemd/resolve/resolv.conf";

/** Where host binaries are installed, and where instead when that is read-only; CNI plugins where containerd looks for them. */
export const LOCAL_BIN_DIR = "/usr/local/bin";
export const FALLBACK_BIN_DIR = "/opt/kubestick/bin";
export const CNI_BIN_DIR = "/opt/cni/bin";
/** What kubestick installed of host binaries. */
export const HOST_BINARIES_FILE = "/var/lib/kubestick/host-binaries.json";
/** Where every program of a node is looked for. */
export const PROGRAM_PATH = `/usr/local/sbin:${LOCAL_BIN_DIR}:${FALLBACK_BIN_DIR}:/usr/sbin:/usr/bin:/sbin:/bin`;

/** Where containerd keeps images and containers, where its configuration says nothing else. */
export const CONTAINERD_ROOT_DIR = "/var/lib/containerd";
export const CONTAINERD_CONFIG_FILE = "/etc/containerd/config.toml";
/** Where containerd looks for the mirrors of a registry (containerd docs/hosts.md). */
export const CONTAINERD_CERTS_DIR = "/etc/containerd/certs.d";
export const SYSCTL_FILE = "/etc/sysctl.d/99-kubestick.conf";
export const MODULES_FILE = "/etc/modules-load.d/kubestick.conf";

/** A kubelet's cgroup root, where it shares its kernel with others: this and the node's host name. */
export const CGROUP_ROOT_PREFIX = "/kubestick-";
