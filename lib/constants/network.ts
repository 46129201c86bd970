/** The flat network: names and numbers that it marks its own things with. */
export const CNI_CONF_DIR = "/etc/cni/net.d";
export const CNI_CONFIG_FILE = "/etc/cni/net.d/10-kubestick.conflist";
export const CNI_NETWORK = "kubestick";
export const BRIDGE = "kubestick0";
/** nftables' tables of this name, one a family, are kubestick's. */
export const NFT_TABLE = "kubestick";
/** The routing protocol number that kubestick's routes carry (rtnetlink(7): numbers above 4 are free for programs). */
export const ROUTE_PROTOCOL = "75";
/** Pods' addresses where none are asked for and kubestick makes the network. */
export const POD_SUBNET = "10.244.0.0/16";

/** The ConfigMap in kube-system that tells joining nodes which network the cluster has. */
export const CM_KUBESTICK = "kubestick";
export const ROLE_NODE_AGENT = "kubestick:node-agent";
/** The node agent as a service. */
export const AGENT_SERVICE = "kubestick-agent";
/** It mostly waits: code that is interpreted needs a fifth less memory than compiled code, and boards have little. */
export const AGENT_ENV = { BUN_JSC_useJIT: "0" };
/** The last time that the node agent saw, for boards without a battery clock. */
export const LAST_TIME_FILE = "/var/lib/kubestick/last-time";
