/** The pods' network and the routes of Services: names and numbers that kubestick marks its own things with. */
export const CNI_CONF_DIR = "/etc/cni/net.d";
export const CNI_CONFIG_FILE = "/etc/cni/net.d/10-kubestick.conflist";
export const CNI_NETWORK = "kubestick";
/** Where the CNI plugins and their callers keep which addresses and ports are given out (host-local, libcni). */
export const CNI_STATE_DIR = "/var/lib/cni";
export const BRIDGE = "kubestick0";
/** nftables' tables of this name, one a family, are kubestick's. */
export const NFT_TABLE = "kubestick";
/** The routing protocol number that kubestick's routes carry (rtnetlink(7): numbers above 4 are free for programs). */
export const ROUTE_PROTOCOL = "75";
/** Pods' addresses where none are asked for and kubestick makes the network. */
export const POD_SUBNET = "10.244.0.0/16";

/** Who makes the pods' network: kubestick, a provider of the user's, or nobody that kubestick knows of. */
export const FLAT = "flat";
export const PROVIDER = "provider";
export const NONE = "none";

/** The ConfigMap in kube-system that tells nodes which network the cluster has. */
export const CM_KUBESTICK = "kubestick";
export const ROLE_NODE_AGENT = "kubestick:node-agent";
/** The node agent as a service. */
export const AGENT_SERVICE = "kubestick-agent";
/** The last time that the node agent saw, for boards without a battery clock. */
export const LAST_TIME_FILE = "/var/lib/kubestick/last-time";
/** The ranges of Services that the node agent last knew, for a start before the API server answers. */
export const SERVICE_RANGES_FILE = "/var/lib/kubestick/service-ranges.json";

/** Set by the control plane on nodes that it has not heard of; a kubelet may not change taints (NodeRestriction). */
export const TAINT_UNREACHABLE = "node.kubernetes.io/unreachable";
/** How long the API server keeps Events, unless it is told otherwise (kube-apiserver --event-ttl). */
export const EVENT_TTL_MS = 60 * 60_000;
