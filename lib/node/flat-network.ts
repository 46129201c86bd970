import type { ClusterNetwork } from "../cluster/network.ts";
import { CNI_CONFIG_FILE } from "../constants/network.ts";
import type { Files } from "../host/files.ts";
import { formatCidr, parseCidr } from "../net/ip.ts";
import { acceptClaims } from "../network/accept.ts";
import { applyRules, removeStaleBridgeAddresses } from "../network/apply.ts";
import type { Claims } from "../network/claims.ts";
import { cniConfig, masqueradeRules } from "../network/flat.ts";
import { podMtu, readHostNetwork, removalOf, routesInTheWay } from "../network/host.ts";
import { applyRoutes } from "../network/routes.ts";
import { winningCniConfig } from "./cni.ts";
import type { Notices } from "./notices.ts";

/** Keeps this node's CNI configuration, routes to other nodes' pods and masquerading in line with the cluster's Nodes. */
export class FlatNetwork {
  readonly #files: Files;
  readonly #log: (text: string) => void;
  readonly #notices: Notices;
  readonly #self: string;
  #rules = "";
  #refusals = "";

  constructor(files: Files, log: (text: string) => void, notices: Notices, self: string) {
    this.#files = files;
    this.#log = log;
    this.#notices = notices;
    this.#self = self;
  }

  /** Brings everything in line. Throws KubestickError where nftables cannot be used; the rest is done by then. */
  reconcile(nodes: Claims, cluster: ClusterNetwork): void {
    const own = nodes.get(this.#self);
    const networks = own?.podCidrs.flatMap((text) => parseCidr(text) ?? []) ?? [];
    const podCidrs = networks.map(formatCidr);
    if (!own || podCidrs.length === 0) return;
    const foreign = winningCniConfig(this.#files);
    if (foreign) {
      const what = `${foreign} is another network's configuration and comes before kubestick's, which is left out; remove it if that network is gone`;
      this.#notices.say(own, "OtherPodNetwork", what);
      return;
    }
    const host = readHostNetwork(this.#files);
    const inTheWay = routesInTheWay(host, networks);
    if (inTheWay.length > 0) {
      const found = inTheWay.map(({ cidr, interface: name }) => `${formatCidr(cidr)} on ${name}`).join(", ");
      const what = `another network's routes lead packets to this node's pods (${podCidrs.join(", ")}) astray: ${found}; if that network is gone: ${inTheWay.map(removalOf).join("; ")}`;
      this.#notices.say(own, "PodNetworkTaken", what);
    }
    const { routes, nodeAddresses, refusals } = acceptClaims(nodes.values(), own, cluster, host);
    for (const address of removeStaleBridgeAddresses(podCidrs)) this.#log(`no address ${address} of pods any more`);
    const config = cniConfig(podCidrs, podMtu(host, own.addresses));
    if (this.#files.readText(CNI_CONFIG_FILE) !== config) {
      this.#files.write(CNI_CONFIG_FILE, config, { mode: 0o644 });
      this.#log(`pods get addresses out of ${podCidrs.join(", ")}`);
    }
    const applied = applyRoutes(
      routes,
      host.own.filter((route) => route.via !== undefined),
    );
    for (const change of applied.changes) this.#log(change);
    // They are tried again with every change, and said once.
    if (applied.refusals.join() !== this.#refusals) for (const refusal of applied.refusals) this.#log(refusal);
    this.#refusals = applied.refusals.join();
    for (const { node, reasons } of refusals)
      this.#notices.say(node, "NetworkClaimRefused", `left out of the pods' network: ${reasons.join("; ")}`);
    // A nameserver of this host may be no node whatever a Node says, and answers only whom it knows.
    const spared = nodeAddresses.filter((address) => !host.nameservers.includes(address));
    const ranges = cluster.podRanges.map(({ cidr }) => formatCidr(cidr));
    const rules = masqueradeRules(podCidrs, ranges, spared);
    if (rules === this.#rules) return;
    applyRules(rules);
    this.#rules = rules;
  }
}
