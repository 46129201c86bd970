import { UsageError } from "../errors.ts";
import { indexedIp, joinHostPort, parseCidr } from "../net/ip.ts";
import { type Environment, proxyFor } from "../net/proxy.ts";
import { type Finding, warning } from "./check.ts";

/** A port that nobody names in NO_PROXY. */
const ANY_PORT = 1234;

/**
 * Warnings for what would be asked through the environment's proxy and is the cluster's own: `addresses` of this node, by
 * which the API server reaches its kubelet and the nodes reach the API server (kubeadm's HTTPProxyCheck).
 */
export function proxiedAddresses(addresses: string[], environment: Environment): Finding[] {
  return addresses.flatMap((address) => proxied(address, address, environment)).slice(0, 1);
}

/** As proxiedAddresses, for the networks of Services and pods, separated by commas (kubeadm's HTTPProxyCIDRCheck). */
export function proxiedNetworks(networks: string, environment: Environment): Finding[] {
  return networks.split(",").flatMap((network) => {
    const cidr = parseCidr(network.trim());
    const first = cidr && indexedIp(cidr, 1);
    return first ? proxied(network.trim(), first, environment) : [];
  });
}

function proxied(what: string, address: string, environment: Environment): Finding[] {
  try {
    const proxy = proxyFor(new URL(`https://${joinHostPort(address, ANY_PORT)}`), environment);
    if (!proxy) return [];
    return warning(
      `connections to ${what} go through the proxy ${proxy.host}, also those of the cluster's own components, which breaks their TLS or leads nowhere`,
      `put it into NO_PROXY, as a network: NO_PROXY=${[environment["NO_PROXY"] || environment["no_proxy"], what].filter(Boolean).join(",")}`,
    );
  } catch (error) {
    if (error instanceof UsageError) return warning(error.message, error.hint);
    throw error;
  }
}
