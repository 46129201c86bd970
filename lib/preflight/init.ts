import { networksOf } from "../cluster/network.ts";
import type { InitConfig } from "../config/init-config.ts";
import { FLAT } from "../constants/network.ts";
import { MANIFESTS_DIR } from "../constants/paths.ts";
import { KUBELET_PORT } from "../constants/ports.ts";
import { MINIMUM_CONTROL_PLANE_VERSION, NEWEST_CONTROL_PLANE_VERSION } from "../constants/versions.ts";
import type { Node } from "../edge/node.ts";
import { moveAway } from "../errors.ts";
import { findProgram } from "../host/facts.ts";
import { tryRun } from "../host/process.ts";
import { formatCidr } from "../net/ip.ts";
import { readHostNetwork, removalOf, routesInTheWay } from "../network/host.ts";
import { deploysControlPlane, SKEW, skewOf } from "../util/skew.ts";
import { parseVersion, releaseText } from "../util/version.ts";
import { brings } from "./bundle.ts";
import { type Check, error, type Finding, warning } from "./check.ts";
import { foreignListeners, HOST_CHECKS } from "./host.ts";
import { IMAGE_CHECK } from "./images.ts";
import { KUBELET_FLAGS, kubeletVersion, removedKubeletFlags } from "./kubelet.ts";
import { LEDGER_CHECK } from "./ledger.ts";
import { networkChecks } from "./network.ts";
import { controlPlaneListening, kubeletListening } from "./ports.ts";
import { proxiedNetworks } from "./proxy.ts";

const MINIMUM_MEMORY_MB = 1700;
const MB = 1024 * 1024;

/** Who may already listen on a control plane port when an earlier run of the same init or join began here. */
export const OWN_LISTENERS = [
  "kube-apiserver",
  "kube-controller",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "etcd",
];

/** What the checks look at. */
export interface PreflightContext extends Node {
  config: InitConfig;
  /** The pods' network that was asked for; see --network. */
  network: string;
}

type InitCheck = Check<PreflightContext>;

/** init's preflight checks (kubeadm preflight/checks.go), with kubestick's own: Clock and KubernetesVersion. */
export const INIT_CHECKS: InitCheck[] = [
  ...HOST_CHECKS,
  LEDGER_CHECK,
  {
    name: "KubernetesVersion",
    why: "flags and file formats belong to a range of versions",
    run: ({ config }) => {
      if (deploysControlPlane(config.cluster.kubernetesVersion)) return [];
      const newest = parseVersion(NEWEST_CONTROL_PLANE_VERSION)!;
      return error(
        `this kubestick deploys Kubernetes ${MINIMUM_CONTROL_PLANE_VERSION} to v${newest.major}.${newest.minor}.x, not ${config.cluster.kubernetesVersion}`,
        "ask for another version, or use the kubestick of that version",
      );
    },
  },
  ...networkChecks<PreflightContext>(({ config, network }) => ({
    flat: network === FLAT,
    proxyMode: config.cluster.proxy.disabled ? undefined : proxyMode(config.kubeProxy?.["mode"]),
  })),
  {
    name: "AnonymousAuth",
    why: "the kubelet asks the API server how it is without showing who asks (kubeadm#1105)",
    run: ({ config }) =>
      config.cluster.apiServer.extraArgs?.some(({ name, value }) => name === "anonymous-auth" && value === "false")
        ? warning(
            "anonymous-auth: false on the API server: its probes are refused (401), and it is started again and again; nodes cannot find the cluster by a token",
            "leave it out; --authentication-config can let anonymous ask for /livez, /readyz and /healthz alone",
          )
        : [],
  },
  {
    name: "NumCPU",
    why: "a control plane wants two",
    run: ({ facts }) => (facts.cpus >= 2 ? [] : error(`this host has ${facts.cpus} CPU; a control plane wants 2`)),
  },
  {
    name: "Mem",
    why: "a control plane wants 1700 MB",
    run: ({ facts }) => {
      const mb = Math.floor(facts.memoryBytes / MB);
      return mb >= MINIMUM_MEMORY_MB
        ? []
        : error(`this host has ${mb} MB of memory; a control plane wants ${MINIMUM_MEMORY_MB}`);
    },
  },
  {
    name: "Swap",
    why: "the kubelet refuses to start with swap unless told otherwise",
    run: ({ facts, config }) =>
      facts.swap && config.kubelet?.["failSwapOn"] === true
        ? error("swap is on and failSwapOn: true is set", "swapoff -a, or remove failSwapOn")
        : [],
  },
  {
    name: "HTTPProxyCIDR",
    why: "the API server asks Services, such as webhooks, and pods itself",
    run: ({ config, environment }) => {
      const { serviceSubnet, podSubnet = "" } = config.cluster.networking;
      return [serviceSubnet, podSubnet].flatMap((networks) => proxiedNetworks(networks, environment));
    },
  },
  {
    name: "Port",
    why: "the control plane listens on these",
    run: ({ config, ledger }) => {
      const wanted = [
        ...controlPlaneListening(config.localAPIEndpoint, config.cluster),
        kubeletListening(KUBELET_PORT, config.kubelet?.["address"]),
      ];
      return wanted.flatMap((listening) => foreignListeners(listening, ledger.begun ? OWN_LISTENERS : []));
    },
  },
  {
    name: "FileAvailable",
    why: "manifests of another control plane must not be overwritten",
    run: ({ files, ledger }) =>
      ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].flatMap((name) => {
        const path = `${MANIFESTS_DIR}/${name}.yaml`;
        if (!files.exists(path) || ledger.owns(path)) return [];
        const found =
          ledger.condition === "damaged"
            ? error(`${path} is already there, and whether kubestick wrote it is not known any more (see Ledger)`)
            : error(
                `${path} is already there, and kubestick did not write it`,
                "kubestick reset removes an old control plane (kubeadm reset, where kubeadm made it)",
              );
        return found.map((finding) => ({ ...finding, name: `FileAvailable-${path.replaceAll("/", "-")}` }));
      }),
  },
  {
    name: "DirAvailable--var-lib-etcd",
    why: "another cluster's data must not be taken over",
    run: ({ config, files, ledger }) => {
      const dir = config.cluster.etcd.local?.dataDir;
      if (!dir || ledger.claimed(dir) || files.list(dir).filter((name) => name !== "lost+found").length === 0)
        return [];
      return error(`${dir} is not empty, and kubestick did not begin it`, moveAway(dir));
    },
  },
  {
    name: "PodNetwork",
    why: "what an earlier cluster's network left on the host leads packets of new pods astray",
    run: ({ config, network, files }) => {
      if (network !== FLAT) return [];
      const ranges = networksOf(config.cluster).podRanges.map(({ cidr }) => cidr);
      return routesInTheWay(readHostNetwork(files), ranges).flatMap((route) =>
        warning(
          `the route to ${formatCidr(route.cidr)} on ${route.interface} lies in the range of the pods, ${config.cluster.networking.podSubnet}`,
          `remove what an earlier network left (${removalOf(route)}), or choose another --pod-network-cidr`,
        ),
      );
    },
  },
  {
    name: "KubeletVersion",
    why: "a kubelet is never newer than its API server, nor more than three minor versions older",
    run: checkKubelet,
  },
  {
    ...KUBELET_FLAGS,
    run: ({ config, decisions }) => {
      const version = kubeletVersion(decisions(), installedKubelet(findProgram("kubelet")));
      return removedKubeletFlags(config.nodeRegistration, version ?? config.cluster.kubernetesVersion);
    },
  },
  IMAGE_CHECK,
];

/** kube-proxy's mode as it takes it: iptables where nothing is said. */
const proxyMode = (mode: unknown) => (mode === "nftables" || mode === "ipvs" ? mode : "iptables");

function checkKubelet({ config, programs, bundle, facts }: PreflightContext): Finding[] {
  // The check HostBinaries decides whether the bundle's is installed.
  if (brings(bundle, facts.arch, "kubelet")) return [];
  const program = findProgram("kubelet");
  if (!program)
    return programs.lacks("kubelet")
      ? error(
          "there is no kubelet on this host (looked in PATH)",
          `install the kubelet of ${config.cluster.kubernetesVersion}`,
        )
      : [];
  const found = parseVersion(installedKubelet(program) ?? "");
  if (!found) return error(`${program} --version prints no version`);
  const version = releaseText(found);
  const skew = skewOf("kubelet", version, config.cluster.kubernetesVersion);
  if (skew === "newer")
    return error(
      `the kubelet is ${version}, newer than the control plane ${config.cluster.kubernetesVersion}`,
      "install an older kubelet, or ask for a newer --kubernetes-version",
    );
  if (skew === "older")
    return error(
      `the kubelet is ${version}, more than ${SKEW.kubelet.older} minor versions older than ${config.cluster.kubernetesVersion}`,
      "install a newer kubelet",
    );
  return [];
}

/** The version that a kubelet tells; undefined where there is none or it tells none. */
function installedKubelet(program: string | undefined): string | undefined {
  return program && /v?\d+\.\d+\.\d+\S*/.exec(tryRun(program, ["--version"]).stdout)?.[0];
}
