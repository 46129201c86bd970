import { BRIDGE, CNI_NETWORK, NFT_TABLE } from "../constants/network.ts";
import { parseCidr, parseIp } from "../host/net.ts";

/** What the flat network knows of a node. */
export interface NodeNetwork {
  name: string;
  /** Addresses that other nodes reach it by. */
  addresses: string[];
  /** Networks of its pods, one a family. */
  podCidrs: string[];
}

/** A route to another node's pods. */
export interface Route {
  cidr: string;
  via: string;
}

const isV6 = (text: string) => text.includes(":");

/**
 * Reads a Node object; what is missing is empty. A kubelet says its node's addresses as it likes, and this becomes routes
 * and rules on all others: what is no address or network is left out.
 */
export function nodeNetwork(node: {
  metadata: { name: string };
  spec?: { podCIDR?: string; podCIDRs?: string[] };
  status?: { addresses?: { type: string; address: string }[] };
}): NodeNetwork {
  const one = node.spec?.podCIDR ? [node.spec.podCIDR] : [];
  return {
    name: node.metadata.name,
    addresses: (node.status?.addresses ?? [])
      .filter((a) => a.type === "InternalIP" && parseIp(a.address))
      .map((a) => a.address),
    podCidrs: (node.spec?.podCIDRs ?? one).filter(parseCidr),
  };
}

/** The CNI configuration of a node's pods (CNI 1.0): a bridge with addresses out of the node's own networks, and host ports. */
export function cniConfig(podCidrs: string[], mtu: number): string {
  const config = {
    cniVersion: "1.0.0",
    name: CNI_NETWORK,
    plugins: [
      {
        type: "bridge",
        bridge: BRIDGE,
        isGateway: true,
        // The agent does it for what leaves the cluster only.
        ipMasq: false,
        hairpinMode: true,
        mtu,
        ipam: {
          type: "host-local",
          ranges: podCidrs.map((subnet) => [{ subnet }]),
          routes: podCidrs.map((cidr) => ({ dst: isV6(cidr) ? "::/0" : "0.0.0.0/0" })),
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
  return `${JSON.stringify(config, null, 1)}\n`;
}

/** The routes of a node: to every other node's pods by that node's address of the same family. */
export function routesTo(nodes: Iterable<NodeNetwork>, self: string): Route[] {
  const routes: Route[] = [];
  for (const node of nodes) {
    if (node.name === self) continue;
    for (const cidr of node.podCidrs) {
      const via = node.addresses.find((address) => isV6(address) === isV6(cidr));
      if (via) routes.push({ cidr, via });
    }
  }
  return routes.sort((a, b) => (a.cidr < b.cidr ? -1 : 1));
}

/**
 * nftables rules (nft(8)) that masquerade what pods of this node send out of the cluster, and nothing else: neither to
 * other pods nor to nodes. One table a family, replaced in one transaction.
 */
export function masqueradeRules(nodes: Iterable<NodeNetwork>, self: NodeNetwork): string {
  const all = [...nodes];
  const lines = ["ip", "ip6"].flatMap((family) => {
    const own = self.podCidrs.filter((cidr) => isV6(cidr) === (family === "ip6"));
    // Declared first, so that deleting it works the first time too.
    const reset = `table ${family} ${NFT_TABLE}\ndelete table ${family} ${NFT_TABLE}\n`;
    if (own.length === 0) return [];
    const inside = all.flatMap((n) => [...n.podCidrs, ...n.addresses]).filter((a) => isV6(a) === (family === "ip6"));
    return [
      `${reset}table ${family} ${NFT_TABLE} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${family} saddr { ${own.join(", ")} } ${family} daddr != { ${[...new Set(inside)].sort().join(", ")} } masquerade
  }
}
`,
    ];
  });
  return lines.join("");
}
