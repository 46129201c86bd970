/** Where labs keep their nodes' files; one directory a lab. Containers' layers need a file system that is not an overlay itself. */
export const LAB_DIR = "/var/lib/kubestick-lab";
export const LAB_NAME = "lab";
export const LAB_SUBNET = "10.200.0.0/24";
/** Names of links and network namespaces begin with it; the kernel takes 15 characters of a link's name. */
export const LAB_PREFIX = "ksl-";
/** Room for the prefix, a hyphen and three digits in a link's name. */
export const LAB_NAME_LENGTH = 7;
/** Host parts of the addresses: the bridge, and the first node less one. */
export const LAB_GATEWAY = 1;
export const LAB_FIRST_NODE = 10;
export const LAB_MAX_NODES = 100;

/** How many inotify instances a node's kubelet, containerd and kube-proxy hold; all nodes of a machine share one allowance. */
export const LAB_INOTIFY_PER_NODE = 8;
export const INOTIFY_INSTANCES = "fs.inotify.max_user_instances";

/** Directories of this machine that a node sees as they are, with changes of its own (an overlay). */
export const LAB_OVERLAYS = ["etc", "opt", "usr"];
/** Directories that a node has for itself, empty at first; the one that hides LAB_DIR comes last. */
export const LAB_OWN_DIRS = ["var/log", "var/lib"];
/** What this machine may have of Kubernetes, hidden from a bare node: paths below /, as the shell's patterns, kubestick itself left out. */
export const LAB_HIDDEN = [
  "etc/kubernetes",
  "etc/containerd",
  "etc/cni",
  "etc/sysctl.d/99-kubestick.conf",
  "etc/modules-load.d/kubestick.conf",
  "opt/cni",
  "opt/kubestick",
  "usr/bin/containerd*",
  "usr/local/bin/containerd*",
  "usr/bin/ctr",
  "usr/local/bin/ctr",
  "usr/bin/crictl",
  "usr/local/bin/crictl",
  "usr/bin/runc",
  "usr/sbin/runc",
  "usr/local/bin/runc",
  "usr/local/sbin/runc",
  "usr/bin/kube[!s]*",
  "usr/local/bin/kube[!s]*",
  "usr/lib/cni",
  "usr/libexec/cni",
];
