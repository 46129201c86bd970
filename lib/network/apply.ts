import { BRIDGE, NFT_TABLE } from "../constants/network.ts";
import { KubestickError } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import { tryRun } from "../host/process.ts";
import { contains, parseCidr } from "../net/ip.ts";

/** Loads nftables rules in one transaction. Throws KubestickError, also where there is no nft. */
export function applyRules(rules: string): void {
  const nft = findProgram("nft");
  if (!nft)
    throw new KubestickError("there is no nft on this host, so pods reach other pods and nodes but nothing beyond", {
      hint: "install nftables",
    });
  const out = tryRun(nft, ["-f", "-"], 10_000, rules);
  if (out.status !== 0) throw new KubestickError(`nft refuses kubestick's rules: ${out.stderr.trim()}`);
}

/**
 * Takes addresses off the bridge that are of none of this node's networks: an earlier cluster's, or an earlier
 * registration's, whose networks other nodes have now. Gives what was removed.
 */
export function removeStaleBridgeAddresses(podCidrs: string[]): string[] {
  const networks = podCidrs.flatMap((cidr) => parseCidr(cidr) ?? []);
  const shown = tryRun("ip", ["-o", "addr", "show", "dev", BRIDGE, "scope", "global"]).stdout;
  const addresses = [...shown.matchAll(/ inet6? (\S+)/g)].map((match) => match[1]!);
  return addresses
    .filter((address) => !networks.some((network) => contains(network, address.split("/")[0]!)))
    .filter((address) => tryRun("ip", ["addr", "del", address, "dev", BRIDGE]).status === 0);
}

/** Takes the flat network's tables and bridge off this host. Gives what was removed. */
export function removeFlatNetwork(): string[] {
  const nft = findProgram("nft");
  const tables = nft ? ["ip", "ip6"].filter((f) => tryRun(nft, ["delete", "table", f, NFT_TABLE]).status === 0) : [];
  const bridge = tryRun("ip", ["link", "del", BRIDGE]).status === 0 ? [`link ${BRIDGE}`] : [];
  return [...tables.map((family) => `table ${family} ${NFT_TABLE}`), ...bridge];
}
