import { chooseAdvertiseAddress, type HostFacts } from "../host/facts.ts";
import { canonicalIp } from "../net/ip.ts";

/** What a kubelet must be told of its node's addresses. */
export interface NodeIp {
  /** The flag `--node-ip`, an address or one of each family, and why the kubelet cannot find it out. */
  flag?: { value: string; why: string };
  /** The IP family of pods that this host has no address of: other nodes do not reach its pods by it. */
  lacks?: 4 | 6;
}

/**
 * What a kubelet must be told of its node's addresses, given the families of the cluster's pods and the address that
 * others reach this host by, if that is known. By itself it looks at the default route's interface, prefers IPv4, and
 * tells one address (kubelet nodestatus/setters.go).
 */
export function chooseNodeIp(
  facts: Pick<HostFacts, "addresses" | "defaultInterface">,
  families: (4 | 6)[],
  known: string | undefined,
): NodeIp {
  // Of an address that others have for this host (NAT), or that moves, the kubelet wants to hear nothing.
  const here = (address: string | undefined) => facts.addresses.find((a) => a.address === address);
  const first = here(known && canonicalIp(known)) ?? here(chooseAdvertiseAddress(facts));
  if (first === undefined) return {};
  const { address: own, interface: link } = first;
  const addressOf = (family: 4 | 6) => {
    if (family === first.family) return own;
    const some = facts.addresses.filter((a) => a.family === family);
    return (some.find((a) => a.interface === link) ?? (some.length === 1 ? some[0] : undefined))?.address;
  };
  const lacks = families.find((family) => addressOf(family) === undefined);
  const found = families.flatMap((family) => addressOf(family) ?? []);
  const told = (value: string, why: string): NodeIp => ({ flag: { value, why }, ...(lacks ? { lacks } : {}) });
  if (found.length === 2) return told(found.join(), "pods have addresses of both IP families, and it tells only one");
  const ipv6 = addressOf(6);
  if (families[0] === 6 && ipv6 && facts.addresses.some(({ family }) => family === 4))
    return told(ipv6, "pods have IPv6 addresses, and it prefers the IPv4 one");
  if (facts.defaultInterface === undefined) return told(own, "it looks for the default route, and there is none");
  if (link !== facts.defaultInterface && (families[0] ?? first.family) === first.family)
    return told(
      own,
      `it looks at the default route's interface, ${facts.defaultInterface}, and the cluster is on ${link}`,
    );
  return lacks ? { lacks } : {};
}
