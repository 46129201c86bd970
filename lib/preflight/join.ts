import { type OnHost, unsuitable } from "../binaries/on-host.ts";
import type { NodeRegistration } from "../config/kinds/fields.ts";
import type { JoinConfiguration } from "../config/kinds/join.ts";
import { KUBELET_KUBECONFIG } from "../constants/paths.ts";
import { API_SERVER_PORT, KUBELET_PORT } from "../constants/ports.ts";
import type { Node } from "../edge/node.ts";
import type { Programs } from "../edge/programs.ts";
import type { BundleCheckContext } from "./bundle.ts";
import { type Check, error } from "./check.ts";
import { foreignListeners, HOST_CHECKS } from "./host.ts";
import { INIT_CHECKS, OWN_LISTENERS } from "./init.ts";
import { KUBELET_FLAGS, kubeletVersion, removedKubeletFlags } from "./kubelet.ts";
import { LEDGER_CHECK } from "./ledger.ts";
import { networkChecks } from "./network.ts";
import { controlPlaneListening, kubeletListening } from "./ports.ts";

/** What the checks of a joining host look at. */
export interface JoinCheckContext extends Node {
  config: JoinConfiguration;
}

/** join's preflight checks of the host, before it looks for the cluster (kubeadm preflight/checks.go). */
export const JOIN_CHECKS: Check<JoinCheckContext>[] = [
  // A clock that stands wrong is compared with the control plane's, and set where it must be.
  ...HOST_CHECKS.filter((check) => check.name !== "Clock"),
  LEDGER_CHECK,
  // What most clusters have.
  ...networkChecks<JoinCheckContext>(() => ({ flat: true, proxyMode: "iptables" }), true),
  {
    name: "FileAvailable--etc-kubernetes-kubelet.conf",
    why: "a node that belongs to another cluster must not be taken out of it by mistake",
    run: ({ files, ledger }) =>
      files.exists(KUBELET_KUBECONFIG) && !ledger.claimed(KUBELET_KUBECONFIG)
        ? error(
            `${KUBELET_KUBECONFIG} is already there: this host is a node of a cluster`,
            "kubestick reset takes it out (kubeadm reset, where kubeadm made it)",
          )
        : [],
  },
  {
    name: "Port",
    why: "the kubelet, and a control plane, listen on these",
    run: ({ ledger, config }) =>
      [
        kubeletListening(KUBELET_PORT, undefined),
        // What the cluster's configuration says of them is not known yet.
        ...(config.controlPlane
          ? controlPlaneListening({ bindPort: API_SERVER_PORT, ...config.controlPlane.localAPIEndpoint }, {})
          : []),
      ].flatMap((listening) => foreignListeners(listening, ledger.begun ? OWN_LISTENERS : [])),
  },
];

/** What the checks against the cluster look at besides. */
export interface ClusterCheckContext extends Pick<BundleCheckContext, "decisions"> {
  /** The version that the cluster's API server tells; undefined where it tells nobody. */
  clusterVersion: string | undefined;
  /** The kubelet that is installed. */
  kubelet: OnHost | undefined;
  node: Partial<NodeRegistration>;
  programs: Pick<Programs, "lacks">;
}

/** Checks of the host against the cluster that it has found, before it changes anything. */
export const CLUSTER_CHECKS: Check<ClusterCheckContext>[] = [
  {
    name: "KubeletVersion",
    why: "a kubelet is never newer than its API server, nor more than three minor versions older",
    run: ({ decisions, clusterVersion, kubelet, programs }) => {
      const version = kubeletVersion(decisions(), kubelet && (kubelet.version ?? ""));
      const wanted = clusterVersion ?? "the cluster's version";
      if (version === undefined)
        return programs.lacks("kubelet")
          ? error("there is no kubelet on this host (looked in PATH)", `install the kubelet of ${wanted}`)
          : [];
      const wrong = clusterVersion && unsuitable("kubelet", version || undefined, clusterVersion);
      return wrong
        ? error(`this node's kubelet does not go with the cluster: ${wrong}`, `join with the kubestick of ${wanted}`)
        : [];
    },
  },
  {
    ...KUBELET_FLAGS,
    run: ({ decisions, kubelet, clusterVersion, node }) => {
      const version = kubeletVersion(decisions(), kubelet?.version) ?? clusterVersion;
      return version === undefined ? [] : removedKubeletFlags(node, version);
    },
  },
];

/** What a joining control plane has passed already, as every node. */
const PASSED = new Set([...HOST_CHECKS, ...JOIN_CHECKS, ...CLUSTER_CHECKS].map(({ name }) => name));

/**
 * The checks that a host must pass besides to become a further control plane, on what `init` would work from there: all
 * others of init's (kubeadm runs its own in the same way).
 */
export const CONTROL_PLANE_CHECKS = INIT_CHECKS.filter(({ name }) => !PASSED.has(name));
