import { dirname } from "node:path";
import type { InitConfig } from "../config/init-config.ts";
import type { ClusterConfiguration } from "../config/kinds/cluster.ts";
import type { HostPathMount } from "../config/kinds/control-plane.ts";
import { CONTROL_PLANE_TIMEOUT } from "../constants/durations.ts";
import { ANNOTATION_APISERVER_ENDPOINT, ANNOTATION_ETCD_CLIENT_URLS } from "../constants/names.ts";
import { KUBERNETES_DIR } from "../constants/paths.ts";
import {
  ETCD_CLIENT_PORT,
  ETCD_METRICS_PORT,
  ETCD_PEER_PORT,
  KUBE_CONTROLLER_MANAGER_PORT,
  KUBE_SCHEDULER_PORT,
} from "../constants/ports.ts";
import { ETCD_STABLE_FLAGS_VERSION } from "../constants/versions.ts";
import { joinHostPort, parseIp } from "../net/ip.ts";
import { parseDuration } from "../util/duration.ts";
import { isSince } from "../util/version.ts";
import { etcdImage, etcdImageTag, kubernetesImage, podPullPolicy } from "./images.ts";
import { argOf, type StaticPod, staticPod } from "./pod.ts";

/** What the builders must know of the host. */
export interface ManifestFacts {
  /** CA certificate directories that are there, out of `CA_CERTIFICATE_DIRS`. */
  caDirs: string[];
  environment: Record<string, string | undefined>;
  /** Whether the cluster's CA signs elsewhere: its certificate is here, and its key is not. */
  externalCa?: boolean;
  /** The file with the CA's certificate alone, where others stand behind it in ca.crt. */
  signingCertificate?: string;
  /** etcd's members so far as `name=peerURL`, when this one joins them. */
  initialCluster?: string[];
}

/** Where distributions keep CA certificates besides /etc/ssl/certs (kubeadm controlplane/volumes.go). */
export const CA_CERTIFICATE_DIRS = [
  "/etc/pki/ca-trust",
  "/etc/pki/tls/certs",
  "/etc/ca-certificates",
  "/usr/share/ca-certificates",
  "/usr/local/share/ca-certificates",
];

/** The static pod components, in the order in which they are written. */
export const CONTROL_PLANE_COMPONENTS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
/** A component that runs in a static pod. */
export type ComponentName = "etcd" | (typeof CONTROL_PLANE_COMPONENTS)[number];

type Component = Omit<StaticPod, "startupMs">;

/** The static pod of a component, before patches. */
export function componentPod(name: ComponentName, config: InitConfig, facts: ManifestFacts): Record<string, unknown> {
  const builders: Record<ComponentName, (config: InitConfig, facts: ManifestFacts) => Component> = {
    etcd,
    "kube-apiserver": apiServer,
    "kube-controller-manager": controllerManager,
    "kube-scheduler": scheduler,
  };
  const limit = config.timeouts?.controlPlaneComponentHealthCheck;
  const startupMs = limit ? parseDuration(limit) : CONTROL_PLANE_TIMEOUT;
  return staticPod({ ...builders[name](config, facts), startupMs }, facts.environment);
}

const directory = (name: string, path: string, readOnly = true): HostPathMount => ({
  name,
  hostPath: path,
  mountPath: path,
  readOnly,
  pathType: "DirectoryOrCreate",
});

const kubeconfigMount = (path: string): HostPathMount => ({
  ...directory("kubeconfig", path),
  pathType: "FileOrCreate",
});

function caMounts(config: InitConfig, facts: ManifestFacts): HostPathMount[] {
  return [
    directory("ca-certs", "/etc/ssl/certs"),
    directory("k8s-certs", config.cluster.certificatesDir),
    ...facts.caDirs.map((dir) => directory(dir.slice(1).replaceAll("/", "-"), dir)),
  ];
}

/** The address a component's health is asked at, the one that it binds to; the pod's own, undefined, where it binds to all. */
function probeHost(bind: string): string | undefined {
  return bind === "0.0.0.0" || bind === "::" || bind === "" ? undefined : bind;
}

/** How the API server at an address reaches etcd: somebody else's, or the one beside it. */
function etcdFlags({ etcd, certificatesDir: pki }: ClusterConfiguration, address: string): Record<string, string> {
  if (etcd.external) {
    const { endpoints, caFile, certFile, keyFile } = etcd.external;
    return {
      "etcd-servers": endpoints.join(","),
      ...(caFile ? { "etcd-cafile": caFile } : {}),
      ...(certFile && keyFile ? { "etcd-certfile": certFile, "etcd-keyfile": keyFile } : {}),
    };
  }
  const url = `https://${joinHostPort(loopback(address), ETCD_CLIENT_PORT)}`;
  return {
    "etcd-cafile": `${pki}/etcd/ca.crt`,
    "etcd-certfile": `${pki}/apiserver-etcd-client.crt`,
    "etcd-keyfile": `${pki}/apiserver-etcd-client.key`,
    "etcd-servers": argOf(etcd.local?.extraArgs, "advertise-client-urls") ?? url,
  };
}

/** The loopback address of an address's family. */
const loopback = (address: string): string => (parseIp(address)?.family === 6 ? "::1" : "127.0.0.1");

function apiServer(config: InitConfig, facts: ManifestFacts): Component {
  const { cluster, localAPIEndpoint: endpoint } = config;
  const pki = cluster.certificatesDir;
  const address = endpoint.advertiseAddress;
  const extraArgs = cluster.apiServer.extraArgs;
  const ownAuthorization = (extraArgs ?? []).some(
    (a) => a.name === "authorization-config" || a.name === "authorization-mode",
  );
  return {
    component: "kube-apiserver",
    image: kubernetesImage(cluster, "kube-apiserver"),
    imagePullPolicy: podPullPolicy(config.nodeRegistration),
    annotations: { [ANNOTATION_APISERVER_ENDPOINT]: joinHostPort(address, endpoint.bindPort) },
    args: {
      "advertise-address": address,
      "allow-privileged": "true",
      ...(ownAuthorization ? {} : { "authorization-mode": "Node,RBAC" }),
      "client-ca-file": `${pki}/ca.crt`,
      "enable-admission-plugins": "NodeRestriction",
      "enable-bootstrap-token-auth": "true",
      ...etcdFlags(cluster, address),
      "kubelet-client-certificate": `${pki}/apiserver-kubelet-client.crt`,
      "kubelet-client-key": `${pki}/apiserver-kubelet-client.key`,
      "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
      "proxy-client-cert-file": `${pki}/front-proxy-client.crt`,
      "proxy-client-key-file": `${pki}/front-proxy-client.key`,
      "requestheader-allowed-names": "front-proxy-client",
      "requestheader-client-ca-file": `${pki}/front-proxy-ca.crt`,
      "requestheader-extra-headers-prefix": "X-Remote-Extra-",
      "requestheader-group-headers": "X-Remote-Group",
      "requestheader-username-headers": "X-Remote-User",
      "secure-port": String(endpoint.bindPort),
      "service-account-issuer": `https://kubernetes.default.svc.${cluster.networking.dnsDomain}`,
      "service-account-key-file": `${pki}/sa.pub`,
      "service-account-signing-key-file": `${pki}/sa.key`,
      "service-cluster-ip-range": cluster.networking.serviceSubnet,
      "tls-cert-file": `${pki}/apiserver.crt`,
      "tls-private-key-file": `${pki}/apiserver.key`,
    },
    extraArgs,
    extraEnvs: cluster.apiServer.extraEnvs,
    extraVolumes: cluster.apiServer.extraVolumes,
    mounts: [...caMounts(config, facts), ...externalEtcdMounts(config, facts)],
    requests: { cpu: "250m" },
    probe: {
      // An address that extraArgs advertise need not be this host's (NAT).
      host: probeHost(address),
      port: endpoint.bindPort,
      scheme: "HTTPS",
      live: "/livez",
      ready: "/readyz",
      startup: "/livez",
    },
  };
}

/** The API server must see an external etcd's certificates, wherever the user keeps them (kubeadm volumes.go). */
function externalEtcdMounts(config: InitConfig, facts: ManifestFacts): HostPathMount[] {
  const { external } = config.cluster.etcd;
  const seen = ["/etc/ssl/certs", config.cluster.certificatesDir, ...facts.caDirs];
  const files = [external?.caFile, external?.certFile, external?.keyFile].filter((file) => file !== undefined);
  const dirs = [...new Set(files.map((file) => dirname(file)))].sort();
  const below = (dir: string, parents: string[]) => parents.some((p) => dir === p || dir.startsWith(`${p}/`));
  return dirs
    .filter((dir, i) => !below(dir, [...seen, ...dirs.slice(0, i)]))
    .map((dir, i) => directory(`etcd-certs-${i}`, dir));
}

function controllerManager(config: InitConfig, facts: ManifestFacts): Component {
  const { cluster } = config;
  const pki = cluster.certificatesDir;
  const conf = `${KUBERNETES_DIR}/controller-manager.conf`;
  const { podSubnet, serviceSubnet } = cluster.networking;
  const pods: Record<string, string> = podSubnet
    ? { "allocate-node-cidrs": "true", "cluster-cidr": podSubnet, "service-cluster-ip-range": serviceSubnet }
    : {};
  const { extraArgs, extraEnvs, extraVolumes } = cluster.controllerManager;
  return {
    component: "kube-controller-manager",
    image: kubernetesImage(cluster, "kube-controller-manager"),
    imagePullPolicy: podPullPolicy(config.nodeRegistration),
    args: {
      "authentication-kubeconfig": conf,
      "authorization-kubeconfig": conf,
      "bind-address": "127.0.0.1",
      "client-ca-file": `${pki}/ca.crt`,
      "cluster-name": cluster.clusterName,
      // Empty, so that the signing controllers do not run: without the key they would end the whole program.
      "cluster-signing-cert-file": facts.externalCa ? "" : (facts.signingCertificate ?? `${pki}/ca.crt`),
      "cluster-signing-key-file": facts.externalCa ? "" : `${pki}/ca.key`,
      controllers: "*,bootstrapsigner,tokencleaner",
      kubeconfig: conf,
      "leader-elect": "true",
      "requestheader-client-ca-file": `${pki}/front-proxy-ca.crt`,
      "root-ca-file": `${pki}/ca.crt`,
      "service-account-private-key-file": `${pki}/sa.key`,
      "use-service-account-credentials": "true",
      ...pods,
    },
    extraArgs,
    extraEnvs,
    extraVolumes,
    mounts: [...caMounts(config, facts), kubeconfigMount(conf)],
    requests: { cpu: "200m" },
    probe: {
      host: probeHost(argOf(extraArgs, "bind-address") ?? "127.0.0.1"),
      port: KUBE_CONTROLLER_MANAGER_PORT,
      scheme: "HTTPS",
      live: "/healthz",
      startup: "/healthz",
    },
  };
}

function scheduler(config: InitConfig): Component {
  const { cluster } = config;
  const conf = `${KUBERNETES_DIR}/scheduler.conf`;
  const { extraArgs, extraEnvs, extraVolumes } = cluster.scheduler;
  return {
    component: "kube-scheduler",
    image: kubernetesImage(cluster, "kube-scheduler"),
    imagePullPolicy: podPullPolicy(config.nodeRegistration),
    args: {
      "authentication-kubeconfig": conf,
      "authorization-kubeconfig": conf,
      "bind-address": "127.0.0.1",
      kubeconfig: conf,
      "leader-elect": "true",
    },
    extraArgs,
    extraEnvs,
    extraVolumes,
    mounts: [kubeconfigMount(conf)],
    requests: { cpu: "100m" },
    probe: {
      host: probeHost(argOf(extraArgs, "bind-address") ?? "127.0.0.1"),
      port: KUBE_SCHEDULER_PORT,
      scheme: "HTTPS",
      live: "/livez",
      ready: "/readyz",
      startup: "/livez",
    },
  };
}

function etcd(config: InitConfig, facts: ManifestFacts): Component {
  const { cluster, nodeRegistration: node } = config;
  const local = cluster.etcd.local!;
  const address = config.localAPIEndpoint.advertiseAddress;
  const pki = `${cluster.certificatesDir}/etcd`;
  const client = `https://${joinHostPort(address, ETCD_CLIENT_PORT)}`;
  const peer = `https://${joinHostPort(address, ETCD_PEER_PORT)}`;
  const metrics = argOf(local.extraArgs, "listen-metrics-urls")?.split(",")[0] ?? "";
  const metricsUrl = URL.parse(metrics) ?? undefined;
  const stable = isSince(etcdImageTag(cluster), ETCD_STABLE_FLAGS_VERSION);
  const members = facts.initialCluster ?? [];
  return {
    component: "etcd",
    image: etcdImage(cluster),
    imagePullPolicy: podPullPolicy(node),
    annotations: { [ANNOTATION_ETCD_CLIENT_URLS]: client },
    args: {
      "advertise-client-urls": client,
      "cert-file": `${pki}/server.crt`,
      "client-cert-auth": "true",
      "data-dir": local.dataDir,
      // etcd 3.6 took the two flags out of their experimental names (kubeadm etcd/local.go).
      ...(stable
        ? { "feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s" }
        : {
            "experimental-initial-corrupt-check": "true",
            "experimental-watch-progress-notify-interval": "5s",
          }),
      "initial-advertise-peer-urls": peer,
      "initial-cluster": members.length > 0 ? members.join(",") : `${node.name}=${peer}`,
      ...(members.length > 0 ? { "initial-cluster-state": "existing" } : {}),
      "key-file": `${pki}/server.key`,
      "listen-client-urls": `https://${joinHostPort(loopback(address), ETCD_CLIENT_PORT)},${client}`,
      "listen-metrics-urls": `http://${joinHostPort(loopback(address), ETCD_METRICS_PORT)}`,
      "listen-peer-urls": peer,
      name: node.name,
      "peer-cert-file": `${pki}/peer.crt`,
      "peer-client-cert-auth": "true",
      "peer-key-file": `${pki}/peer.key`,
      "peer-trusted-ca-file": `${pki}/ca.crt`,
      "snapshot-count": "10000",
      "trusted-ca-file": `${pki}/ca.crt`,
    },
    extraArgs: local.extraArgs,
    extraEnvs: local.extraEnvs,
    ownNetworkOnly: true,
    mounts: [{ ...directory("etcd-data", local.dataDir, false) }, { ...directory("etcd-certs", pki, false) }],
    requests: { cpu: "100m", memory: "100Mi" },
    probe: {
      host: metricsUrl?.hostname.replace(/^\[|\]$/g, "") || loopback(address),
      // A URL keeps to itself the port that its scheme has anyway.
      port: Number(/^[a-z]+:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/.exec(metrics)?.[1] ?? ETCD_METRICS_PORT),
      scheme: metricsUrl?.protocol === "https:" ? "HTTPS" : "HTTP",
      live: "/livez",
      ready: "/readyz",
      startup: "/readyz",
    },
  };
}
