import type { KubeObject } from "../api/resources.ts";
import { watch } from "../api/watch.ts";
import { CNI_CONFIG_FILE, FLAT } from "../constants/network.ts";
import type { Files } from "../host/files.ts";
import { formatCidr, parseCidr } from "../net/ip.ts";
import { acceptClaims } from "../network/accept.ts";
import { applyRules, removeStaleBridgeAddresses } from "../network/apply.ts";
import { Claims } from "../network/claims.ts";
import { winningCniConfig } from "../network/cni.ts";
import { cniConfig, masqueradeRules } from "../network/flat.ts";
import { podMtu, readHostNetwork, removalOf, routesInTheWay } from "../network/host.ts";
import { applyRoutes } from "../network/routes.ts";
import type { Cluster, Session } from "./cluster.ts";
import type { AgentContext } from "./context.ts";
import type { Controller } from "./controller.ts";

/** Keeps this node's CNI configuration, routes to other nodes' pods and masquerading in line with the cluster's Nodes. */
export class FlatNetwork implements Controller {
  readonly name = "flat network";
  readonly #files: Files;
  readonly #log: (text: string) => void;
  readonly #cluster: Cluster;
  /** Those of the session, once all are known. */
  #nodes: { session: Session; claims: Claims } | undefined;
  #rules = "";
  #refusals = "";

  constructor({ files, log, cluster }: AgentContext) {
    this.#files = files;
    this.#log = log;
    this.#cluster = cluster;
  }

  /** Follows the Nodes of a cluster that has the flat network. */
  async start(signal: AbortSignal, changed: () => void): Promise<void> {
    for await (const session of this.#cluster.sessions(signal)) {
      if (session.network.kind !== FLAT) continue;
      const claims = new Claims();
      for await (const event of watch<KubeObject>(session.client, "v1", "Node", { signal: session.signal })) {
        if (event.type === "SYNCED") claims.replaceAll(event.items);
        else if (event.type === "DELETED") claims.delete(event.object.metadata.name);
        else if (!claims.set(event.object)) continue;
        this.#nodes = { session, claims };
        changed();
      }
    }
  }

  /** Brings everything in line. Throws KubestickError where nftables cannot be used; the rest is done by then. */
  reconcile(): void {
    const { session } = this.#cluster;
    if (!session || session !== this.#nodes?.session) return;
    const { claims } = this.#nodes;
    const { network: cluster, notices } = session;
    const own = claims.get(session.self);
    const networks = own?.podCidrs.flatMap((text) => parseCidr(text) ?? []) ?? [];
    const podCidrs = networks.map(formatCidr);
    if (!own || podCidrs.length === 0) return;
    const foreign = winningCniConfig(this.#files);
    if (foreign) {
      const what = `${foreign} is another network's configuration and comes before kubestick's, which is left out; remove it if that network is gone`;
      notices.say(own, "OtherPodNetwork", what);
      return;
    }
    const host = readHostNetwork(this.#files);
    const inTheWay = routesInTheWay(host, networks);
    if (inTheWay.length > 0) {
      const found = inTheWay.map(({ cidr, interface: name }) => `${formatCidr(cidr)} on ${name}`).join(", ");
      const what = `another network's routes lead packets to this node's pods (${podCidrs.join(", ")}) astray: ${found}; if that network is gone: ${inTheWay.map(removalOf).join("; ")}`;
      notices.say(own, "PodNetworkTaken", what);
    }
    const { routes, nodeAddresses, refusals } = acceptClaims(claims.values(), own, cluster, host);
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
      notices.say(node, "NetworkClaimRefused", `left out of the pods' network: ${reasons.join("; ")}`);
    // A nameserver of this host may be no node whatever a Node says, and answers only whom it knows.
    const spared = nodeAddresses.filter((address) => !host.nameservers.includes(address));
    const ranges = cluster.podRanges.map(({ cidr }) => formatCidr(cidr));
    const rules = masqueradeRules(podCidrs, ranges, spared);
    if (rules === this.#rules) return;
    applyRules(rules);
    this.#rules = rules;
  }
}
