import { readdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../api/client.ts";
import type { KubeObject } from "../api/resources.ts";
import { watch } from "../api/watch.ts";
import { API_CALL_TIMEOUT } from "../constants/durations.ts";
import { USER_NODE_PREFIX } from "../constants/names.ts";
import { CNI_CONF_DIR, CNI_CONFIG_FILE } from "../constants/network.ts";
import { KUBELET_CLIENT_CURRENT, KUBELET_KUBECONFIG } from "../constants/paths.ts";
import { KubestickError, reason } from "../host/errors.ts";
import type { Files } from "../host/files.ts";
import { readSystemFile } from "../host/system-files.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { refreshResolvConf } from "../kubelet/resolv-conf.ts";
import { applyRoutes, applyRules } from "../network/apply.ts";
import { cniConfig, masqueradeRules, type NodeNetwork, nodeNetwork, routesTo } from "../network/flat.ts";
import { readCertificates } from "../pki/pem.ts";
import { neverInThePast, noteTime } from "./clock.ts";

/** Nodes come in bursts when a classroom joins. */
const SETTLE_MS = 250;
const RETRY_MS = 2_000;
/** Everything is looked at again now and then, in case somebody took a route away; and the time is noted. */
const RESYNC_MS = 60_000;
const DEFAULT_MTU = 1500;

type Log = (text: string) => void;

/**
 * The node agent of the flat network, until the signal: follows the cluster's Nodes with the kubelet's own credentials
 * and keeps this node's CNI configuration, routes and masquerading in line with them.
 */
export async function runNodeAgent(files: Files, log: Log, signal: AbortSignal): Promise<void> {
  const clock = neverInThePast(files, new Date());
  if (clock) log(clock);
  while (!signal.aborted) {
    try {
      await follow(files, log, signal);
    } catch (error) {
      if (!signal.aborted) log(`${reason(error)}; trying again`);
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function follow(files: Files, log: Log, signal: AbortSignal): Promise<void> {
  const text = files.readText(KUBELET_KUBECONFIG);
  if (text === undefined) throw new KubestickError(`${KUBELET_KUBECONFIG} is not there yet`);
  const connection = readKubeconfig(text, KUBELET_KUBECONFIG, (file) => files.readText(file));
  const self = nodeNameOf(connection.clientCertificate);
  // A node's rights are there a moment after its certificate.
  const client = new ApiClient(connection, { refusalsPassMs: API_CALL_TIMEOUT });
  const nodes = new Map<string, NodeNetwork>();
  const state = { rules: "", refusals: "" };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const bringInLine = () => {
    timer = undefined;
    try {
      reconcile(files, log, nodes, self, state);
    } catch (error) {
      log(reason(error));
    }
  };
  const resync = setInterval(() => {
    noteTime(files, new Date());
    refreshNameservers(files, log);
    bringInLine();
  }, RESYNC_MS);
  try {
    for await (const { type, object, items } of watch<KubeObject>(client, "v1", "Node", { signal })) {
      if (type === "SYNCED") {
        nodes.clear();
        for (const node of items ?? []) nodes.set(node.metadata.name, nodeNetwork(node));
      } else if (type === "DELETED") nodes.delete(object.metadata.name);
      else nodes.set(object.metadata.name, nodeNetwork(object));
      timer ??= setTimeout(bringInLine, SETTLE_MS);
    }
  } finally {
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

function reconcile(
  files: Files,
  log: Log,
  nodes: Map<string, NodeNetwork>,
  self: string,
  state: { rules: string; refusals: string },
): void {
  const own = nodes.get(self);
  if (!own || own.podCidrs.length === 0) return;
  const foreign = foreignCniConfig(files);
  if (foreign) throw new KubestickError(`${foreign} is another network's configuration; kubestick's is left out`);
  const config = cniConfig(own.podCidrs, mtuOf(own.addresses));
  if (files.readText(CNI_CONFIG_FILE) !== config) {
    files.write(CNI_CONFIG_FILE, config, { mode: 0o644 });
    log(`pods get addresses out of ${own.podCidrs.join(", ")}`);
  }
  const { changes, refusals } = applyRoutes(routesTo(nodes.values(), self));
  for (const change of changes) log(change);
  // They are tried again with every change, and said once.
  if (refusals.join() !== state.refusals) for (const refusal of refusals) log(refusal);
  state.refusals = refusals.join();
  const rules = masqueradeRules(nodes.values(), own);
  if (rules === state.rules) return;
  applyRules(rules);
  state.rules = rules;
}

/** Another network provider's configuration, which the kubelet's runtime would take instead or besides. */
export function foreignCniConfig(files: Files): string | undefined {
  const found = files
    .list(CNI_CONF_DIR)
    .find((name) => /\.(conf|conflist|json)$/.test(name) && !CNI_CONFIG_FILE.endsWith(`/${name}`));
  return found && `${CNI_CONF_DIR}/${found}`;
}

/** The MTU of the interface that has one of these addresses. */
function mtuOf(addresses: string[]): number {
  const [name] =
    Object.entries(networkInterfaces()).find(([, list]) => list?.some((a) => addresses.includes(a.address))) ?? [];
  const mtu = name && readdirSync("/sys/class/net").includes(name) ? readSystemFile(`/sys/class/net/${name}/mtu`) : "";
  return Number(mtu) || DEFAULT_MTU;
}

function nodeNameOf(certificate: string | undefined): string {
  const [own] = certificate ? readCertificates(certificate, KUBELET_CLIENT_CURRENT) : [];
  const name = /^CN=([^\n]+)$/m.exec(own?.subject ?? "")?.[1];
  if (name?.startsWith(USER_NODE_PREFIX)) return name.slice(USER_NODE_PREFIX.length);
  throw new KubestickError(`${KUBELET_KUBECONFIG} holds no node's certificate yet`);
}
