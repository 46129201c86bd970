import { NFT_TABLE } from "../constants/network.ts";
import type { Kernel, PacketFilter } from "../edge/kernel.ts";
import type { HostFacts } from "../host/facts.ts";
import { tryRun } from "../host/process.ts";
import { type Check, type Finding, warning } from "./check.ts";
import { type NetworkNeeds, verifyNetworkKernel } from "./kernel.ts";

/**
 * Checks of what a node's network needs of its host. A joining node does not know its cluster's network yet; then
 * `likely` makes warnings of what would be errors.
 */
export function networkChecks<C extends { facts: HostFacts; kernel: Kernel }>(
  needs: (ctx: C) => NetworkNeeds,
  likely = false,
): Check<C>[] {
  const soften = (findings: Finding[]) =>
    likely
      ? findings.map(
          (finding): Finding => ({
            ...finding,
            level: "warning",
            message: `${finding.message} (where the cluster has kube-proxy and the flat network)`,
          }),
        )
      : findings;
  return [
    {
      name: "KernelModules",
      why: "Services and pods' links are made of these parts of the kernel",
      run: (ctx) => soften(verifyNetworkKernel(ctx.facts.kernel, needs(ctx))),
    },
    {
      name: "PacketFilter",
      why: "pods reach the outside by nftables, and each other through the chain FORWARD",
      run: (ctx) => soften(needs(ctx).flat ? verifyPacketFilter(ctx.kernel.askPacketFilter(TRIAL)) : []),
    },
    {
      name: "Firewalld",
      why: "a firewall between the nodes stops the cluster's own traffic (kubeadm FirewalldCheck)",
      run: ({ facts }) =>
        facts.serviceManager === "systemd" && tryRun("systemctl", ["is-active", "firewalld"]).stdout.trim() === "active"
          ? warning(
              "firewalld is active, and lets neither nodes nor pods through by itself",
              "open 6443 and 10250 (firewall-cmd --permanent --add-port=6443/tcp --add-port=10250/tcp) and trust the nodes' and pods' networks, or stop it",
            )
          : [],
    },
  ];
}

/** What the flat network's rules use, in a table that is only tried. */
const TRIAL = `table ip ${NFT_TABLE}-trial {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr { 192.0.2.0/24 } ip daddr != { 192.0.2.0/24 } masquerade
  }
}
`;

/** Whether this host's nft and kernel can masquerade, and forward what they do not know. */
function verifyPacketFilter(found: PacketFilter): Finding[] {
  const outside = "pods will reach other pods and nodes, but nothing beyond";
  return [
    ...(found.lacksNft ? warning(`there is no nft on this host: ${outside}`, "install nftables") : []),
    ...(found.refusal === undefined
      ? []
      : warning(
          `this kernel's nftables cannot masquerade (${found.refusal}): ${outside}`,
          "use a kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NFT_MASQ, or load nft_masq and nft_chain_nat",
        )),
    ...(dropsForwarded(found.forward)
      ? warning(
          "the packet filter drops what it is to forward (iptables -P FORWARD DROP, as Docker sets it): pods will not reach each other",
          'iptables -P FORWARD ACCEPT, and to keep it: "ip-forward-no-drop": true in /etc/docker/daemon.json',
        )
      : []),
  ];
}

/** Whether the chain FORWARD, as iptables -S prints it, drops what no rule accepts. */
export const dropsForwarded = (rules: string): boolean => /^-P FORWARD DROP\b/m.test(rules);
