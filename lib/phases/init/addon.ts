import { resolve } from "node:path";
import { corednsConfigMap, corednsDeployment, corednsRbac, corednsService } from "../../addons/coredns.ts";
import { kubeProxyObjects } from "../../addons/kube-proxy.ts";
import type { KubeObject } from "../../api/resources.ts";
import { networkObjects } from "../../cluster/network.ts";
import { applyService } from "../../cluster/service.ts";
import { CM_COREDNS, CM_KUBE_PROXY, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { AGENT_SERVICE, CM_KUBESTICK, FLAT, NONE, PROVIDER, ROLE_NODE_AGENT } from "../../constants/network.ts";
import { Files } from "../../host/files.ts";
import { upstreams } from "../../kubelet/resolv-conf.ts";
import { applyPatches } from "../../manifests/patches.ts";
import type { Say } from "../../ui/ui.ts";
import { HAS_DNS, HAS_PROXY } from "../conditions.ts";
import { startNodeAgent } from "../node-agent.ts";
import { applyProvider, providerObjects } from "../provider.ts";
import { type Phase, when } from "../runner.ts";
import type { Init } from "./context.ts";

const FLAGS = ["image-repository", "kubernetes-version", "feature-gates"];
const inSystem = (kind: string, name: string) => `${kind} ${NAMESPACE_SYSTEM}/${name}`;

/** init's phase `addon`: CoreDNS, kube-proxy, and the network of the pods. */
export const addonPhase: Phase<Init> = {
  name: "addon",
  short: "Install required addons for passing conformance tests",
  live: true,
  children: [
    when(HAS_DNS, {
      name: "coredns",
      short: "Install the CoreDNS addon to a Kubernetes cluster",
      live: true,
      flags: [...FLAGS, "service-cidr", "service-dns-domain"],
      outputs: [
        inSystem("ConfigMap", CM_COREDNS),
        "ClusterRole system:coredns",
        "ClusterRoleBinding system:coredns",
        inSystem("ServiceAccount", "coredns"),
        inSystem("Deployment", "coredns"),
        inSystem("Service", "kube-dns"),
      ],
      run: installCoredns,
    }),
    when(HAS_PROXY, {
      name: "kube-proxy",
      short: "Install the kube-proxy addon to a Kubernetes cluster",
      live: true,
      flags: [
        ...FLAGS,
        "apiserver-advertise-address",
        "apiserver-bind-port",
        "control-plane-endpoint",
        "pod-network-cidr",
      ],
      outputs: [
        inSystem("ServiceAccount", "kube-proxy"),
        inSystem("ConfigMap", CM_KUBE_PROXY),
        "ClusterRoleBinding kubeadm:node-proxier",
        inSystem("Role", "kube-proxy"),
        inSystem("RoleBinding", "kube-proxy"),
        inSystem("DaemonSet", "kube-proxy"),
      ],
      run: async ({ node, cp, access }, step) => {
        const how = { patches: node.patches(), environment: node.environment };
        await access.apply(kubeProxyObjects(cp.config, cp.servers.cluster, cp.kubeProxy(), how));
        step("Applied essential addon: kube-proxy");
      },
    }),
    {
      name: "network",
      short: "Install the network of the pods (see --network), and start the node agent",
      tag: "network",
      live: true,
      flags: ["network", "pod-network-cidr"],
      outputs: [
        inSystem("ConfigMap", CM_KUBESTICK),
        inSystem("Role", "kubestick:config"),
        inSystem("RoleBinding", "kubestick:config"),
        `ClusterRole ${ROLE_NODE_AGENT}`,
        `ClusterRoleBinding ${ROLE_NODE_AGENT}`,
        "the provider's objects",
        `service ${AGENT_SERVICE}`,
      ],
      run: installNetwork,
    },
  ],
};

async function installCoredns({ node, cp, access }: Init, step: Say): Promise<void> {
  const { path, nameservers, lost } = upstreams(node.facts.resolvConfs, node.files, (await cp.kubelet()).local);
  const forward = nameservers.length > 0;
  if (!forward)
    step(`CoreDNS will not forward external names (because ${path} has no nameserver that pods could reach)`);
  else if (lost.length > 0)
    node.ui.warn(
      `CoreDNS cannot reach ${lost.join(", ")} of ${path}, which the kubelet is told to give to pods, and ends where it meets itself`,
    );
  const cluster = await access.cluster();
  await cluster.createIfAbsent(corednsConfigMap(cp.config, forward) as KubeObject);
  await access.apply([
    ...corednsRbac(),
    applyPatches(corednsDeployment(cp.config), "corednsdeployment", node.patches()),
  ]);
  await applyService(cluster, corednsService(cp.config) as KubeObject);
  step("Applied essential addon: CoreDNS");
}

async function installNetwork({ node, access, asked }: Init, step: Say): Promise<void> {
  const { network } = asked;
  const kind = network === FLAT || network === NONE ? network : PROVIDER;
  // Without a network of kubestick's choice the cluster is kubeadm's to the last object.
  if (kind !== NONE) await access.apply(networkObjects(kind));
  await startNodeAgent(node, kind, step);
  if (kind !== PROVIDER) return;
  // The user's file lies on this machine, not below --rootfs.
  const objects = providerObjects(network, new Files("/").readText(resolve(network)), node.bundle);
  await applyProvider((some) => access.apply(some), objects);
  step(`Applied the network provider of ${network}`);
}
