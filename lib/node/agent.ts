import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../api/client.ts";
import type { KubeObject } from "../api/resources.ts";
import { isTransient } from "../api/retry.ts";
import { watch } from "../api/watch.ts";
import { type ClusterNetwork, readClusterNetwork } from "../cluster/network.ts";
import { CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM, USER_NODE_PREFIX } from "../constants/names.ts";
import { FLAT } from "../constants/network.ts";
import { KUBELET_CLIENT_CURRENT, KUBELET_KUBECONFIG } from "../constants/paths.ts";
import { KubestickError, reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { readRoutes } from "../host/routes.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { refreshResolvConf } from "../kubelet/resolv-conf.ts";
import { formatCidr } from "../net/ip.ts";
import { Claims, claimOf } from "../network/claims.ts";
import { readCertificates } from "../pki/pem.ts";
import { neverInThePast, noteTime } from "./clock.ts";
import { FlatNetwork } from "./flat-network.ts";
import { Notices } from "./notices.ts";
import { ServiceRoutes } from "./service-routes.ts";

/** Nodes come in bursts when a classroom joins. */
const SETTLE_MS = 250;
/** A Node that changes all the time must not keep this one busy. */
const APART_MS = 2_000;
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;
/** How often the host's routes are looked at: a default route comes with DHCP, and a cable that was pulled takes all. */
const ROUTES_MS = 5_000;
/** Everything is looked at again now and then, the cluster's configuration too; and the time is noted. */
const RESYNC_MS = 60_000;
/** Soon, so that the agent ends soon when it is told to. */
const CALL_MS = 10_000;

type Log = (text: string) => void;

/**
 * The node agent, until the signal. On every node it keeps the host's routes to Services; where the cluster has the
 * flat network, also that. It reads the cluster with the kubelet's own credentials.
 */
export async function runNodeAgent(files: Files, log: Log, signal: AbortSignal): Promise<void> {
  const clock = neverInThePast(files, new Date());
  if (clock) log(clock);
  const services = new ServiceRoutes(files, log);
  services.reconcile();
  const controllers = new Set<() => void>([() => services.reconcile()]);
  const routesChanged = routeWatch();
  const watching = setInterval(() => {
    if (routesChanged()) for (const reconcile of controllers) reconcile();
    else if (services.refused) services.reconcile();
  }, ROUTES_MS);
  const noting = setInterval(() => {
    noteTime(files, new Date());
    refreshNameservers(files, log);
  }, RESYNC_MS);
  let failure = "";
  for (let pause = FIRST_RETRY_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_RETRY_MS)) {
    const begun = Date.now();
    try {
      await follow(files, log, signal, services, controllers);
    } catch (error) {
      if (!signal.aborted && reason(error) !== failure) log(`${reason(error)}; trying again`);
      failure = reason(error);
    }
    if (Date.now() - begun > LONGEST_RETRY_MS) pause = FIRST_RETRY_MS;
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
  clearInterval(noting);
  clearInterval(watching);
}

/** Gives a function that tells whether this host's routes have changed since it was asked last, by this agent or others. */
function routeWatch(): () => boolean {
  const now = () =>
    readRoutes()
      .map((route) => `${formatCidr(route.cidr)} ${route.gateway} ${route.interface} ${route.metric}`)
      .sort()
      .join();
  let seen = now();
  return () => {
    const [before, after] = [seen, now()];
    seen = after;
    return before !== after;
  };
}

/** Follows the cluster until the signal, or until its network is another one. Throws where it cannot. */
async function follow(
  files: Files,
  log: Log,
  signal: AbortSignal,
  services: ServiceRoutes,
  controllers: Set<() => void>,
): Promise<void> {
  const text = files.readText(KUBELET_KUBECONFIG);
  if (text === undefined) throw new KubestickError(`${KUBELET_KUBECONFIG} is not there yet`);
  const connection = readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file));
  const self = nodeNameOf(connection.clientCertificate);
  const client = new ApiClient(connection, { callTimeoutMs: CALL_MS });
  const flat = new FlatNetwork(files, log, new Notices(client, self, log), self);
  const nodes = new Claims();
  const ended = new AbortController();
  const end = () => ended.abort();
  signal.addEventListener("abort", end);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  let cluster: ClusterNetwork | undefined;
  const bringInLine = () => {
    timer = undefined;
    last = Date.now();
    try {
      if (cluster?.kind === FLAT) flat.reconcile(nodes, cluster);
    } catch (error) {
      log(reason(error));
    }
  };
  const resync = setInterval(async () => {
    try {
      const next = await readCluster(client, self, services);
      if (next.kind !== cluster?.kind) end();
      cluster = next;
    } catch (error) {
      if (!ended.signal.aborted) log(reason(error));
      // The kubelet has renewed its certificate; while the API server is away, what is known is kept.
      if (!isTransient(error)) end();
    }
    if (!ended.signal.aborted) bringInLine();
  }, RESYNC_MS);
  try {
    cluster = await readCluster(client, self, services);
    if (cluster.kind !== FLAT) {
      await new Promise((resolve) => ended.signal.addEventListener("abort", resolve));
      return;
    }
    controllers.add(bringInLine);
    for await (const event of watch<KubeObject>(client, "v1", "Node", { signal: ended.signal })) {
      if (event.type === "SYNCED") nodes.replaceAll(event.items);
      else if (event.type === "DELETED") nodes.delete(event.object.metadata.name);
      else if (!nodes.set(event.object)) continue;
      timer ??= setTimeout(bringInLine, Math.max(SETTLE_MS, last + APART_MS - Date.now()));
    }
  } finally {
    end();
    controllers.delete(bringInLine);
    signal.removeEventListener("abort", end);
    clearInterval(resync);
    clearTimeout(timer);
    await client.close();
  }
}

function refreshNameservers(files: Files, log: Log): void {
  try {
    if (refreshResolvConf(files)) log("pods that start from now on get this host's new nameservers");
  } catch (error) {
    log(reason(error));
  }
}

/** Reads what the cluster says of its networks and this node, and hands the Services' part on. Throws KubestickError. */
async function readCluster(client: ApiClient, self: string, services: ServiceRoutes): Promise<ClusterNetwork> {
  const [cluster, node] = await Promise.all([readClusterNetwork(client), client.get("v1", "Node", self)]);
  if (!cluster)
    throw new KubestickError(
      `the ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBEADM_CONFIG} cannot be read or holds no ClusterConfiguration, so the ranges of Services and pods are not known`,
    );
  services.learn({ ranges: cluster.serviceRanges, nodeAddresses: node ? claimOf(node).addresses : [] });
  return cluster;
}

function nodeNameOf(certificate: string | undefined): string {
  const [own] = certificate ? readCertificates(certificate, KUBELET_CLIENT_CURRENT) : [];
  const name = /^CN=([^\n]+)$/m.exec(own?.subject ?? "")?.[1];
  if (name?.startsWith(USER_NODE_PREFIX)) return name.slice(USER_NODE_PREFIX.length);
  throw new KubestickError(`${KUBELET_KUBECONFIG} holds no node's certificate yet`);
}
