/** Fields that kubestick reads and does nothing with, by kind: the path, and why. Each is told where it is given. */
export const NO_EFFECT: Record<string, [path: string, why: string][]> = {
  InitConfiguration: [
    ["timeouts.discovery", "init looks for no cluster"],
    ["timeouts.tlsBootstrap", "init signs its kubelet's certificate itself"],
    ["timeouts.etcdAPICall", "init asks nothing of etcd"],
    ["timeouts.upgradeManifests", "init upgrades nothing"],
  ],
  ClusterConfiguration: [["etcd.external.httpEndpoints", "an external etcd is asked by the API server only"]],
  JoinConfiguration: [["timeouts.upgradeManifests", "join upgrades nothing"]],
};
