import { BRIDGE, CNI_NETWORK, NFT_TABLE } from "../constants/network.ts";
import { contains, parseCidr } from "../net/ip.ts";

const isV6 = (text: string) => text.includes(":");

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
        // A node that was deleted and registers again has other networks; the plugin would refuse every pod.
        forceAddress: true,
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

/**
 * nftables rules (nft(8)) that masquerade what pods of this node send out of the cluster, and nothing else: neither to
 * other pods, that is to the whole of the pods' ranges, nor to nodes. One table a family, replaced in one transaction.
 */
export function masqueradeRules(podCidrs: string[], podRanges: string[], nodeAddresses: string[]): string {
  const ranges = podRanges.flatMap((range) => parseCidr(range) ?? []);
  // What lies in a range would be in the set twice.
  const outside = nodeAddresses.filter((address) => !ranges.some((range) => contains(range, address)));
  const inside = [...new Set([...podRanges, ...outside])].sort();
  const lines = ["ip", "ip6"].map((family) => {
    const ofFamily = (texts: string[]) => texts.filter((text) => isV6(text) === (family === "ip6"));
    const own = ofFamily(podCidrs);
    // Declared first, so that deleting it works the first time too.
    const reset = `table ${family} ${NFT_TABLE}\ndelete table ${family} ${NFT_TABLE}\n`;
    if (own.length === 0) return "";
    return `${reset}table ${family} ${NFT_TABLE} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${family} saddr { ${own.join(", ")} } ${family} daddr != { ${ofFamily(inside).join(", ")} } masquerade
  }
}
`;
  });
  return lines.join("");
}
