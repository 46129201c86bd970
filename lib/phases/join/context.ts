import type { DryRunCluster } from "../../api/cluster.ts";
import { ClusterAccess } from "../../cluster/access.ts";
import { checkFamilies } from "../../config/checks/networks.ts";
import type { InitConfig } from "../../config/init-config.ts";
import type { LocalApiEndpoint, NodeRegistration } from "../../config/kinds/fields.ts";
import { isUnspecified, serviceFamily } from "../../config/kinds/init.ts";
import { type JoinConfiguration, join as joinKind } from "../../config/kinds/join.ts";
import { storedCluster } from "../../config/stored.ts";
import { API_SERVER_PORT } from "../../constants/ports.ts";
import { KUBERNETES_VERSION } from "../../constants/versions.ts";
import { type Node, type NodeOptions, openNode } from "../../edge/node.ts";
import { KubestickError, UsageError } from "../../errors.ts";
import { type HostFacts, requireAdvertiseAddress, requireNodeName } from "../../host/facts.ts";
import { adminAccess, ControlPlane } from "../control-plane.ts";
import { madeByItself } from "../init/context.ts";
import { Discovery, endpointOf, timeoutOf } from "./discovery.ts";

const NEW_TOKEN_MS = 5_000;

/** What `join` was asked to do besides its configuration. */
export interface JoinAsked {
  ignorePreflightErrors: Set<string>;
  /** Set this host's clock to the control plane's when it is too wrong for TLS. */
  syncTime: boolean;
}

/** A further control plane that this node becomes. */
export interface Joining {
  cp: ControlPlane;
  /** The cluster with an administrator's rights, by the file that this node has made or got. */
  admin: ClusterAccess;
  /** The learner that this run has added to etcd, until it has its vote. */
  learner?: { id: string; endpoints: string[] };
}

/** What the phases of `join` work on. */
export interface Join {
  node: Node;
  config: JoinConfiguration;
  registration: NodeRegistration;
  discovery: Discovery;
  /** The cluster with the rights of the bootstrap token, or of the discovery file. */
  access: ClusterAccess;
  asked: JoinAsked;
  /** What a dry run would have changed in the cluster; undefined where it is changed. */
  notes: DryRunCluster | undefined;
  /** What this node becomes, when it joins as a control plane; read from the cluster once. */
  controlPlane(): Promise<Joining>;
  /** Ends every connection, so that the process can end. */
  close(): Promise<void>;
}

/** Of a node, what `join` cannot take from its configuration. */
export type JoinNode = Omit<NodeOptions, "name" | "criSocket" | "kubernetesVersion" | "families" | "patchesDirectory">;

/** Makes what the phases of `join` work on. Nothing is asked or changed yet. Throws UsageError for a host without a name. */
export function openJoin(config: JoinConfiguration, host: JoinNode, asked: JoinAsked): Join {
  const { nodeRegistration: registration } = joinKind.defaults(config, {
    host: { hostname: () => requireNodeName(host.facts) },
  });
  const node = openNode({
    ...host,
    name: registration.name,
    criSocket: registration.criSocket,
    // What can be known before the cluster has been found: the bundle's version, the family of the control plane's address.
    kubernetesVersion: host.bundle?.kubernetesVersion ?? KUBERNETES_VERSION,
    families: [endpointOf(config).startsWith("[") ? 6 : 4],
    patchesDirectory: config.patches?.directory,
  });
  const { ui, kernel, environment } = node;
  const discovery = new Discovery(config, {
    syncTime: asked.syncTime,
    environment,
    waiting: (why) => ui.live("preflight", [`discovery: ${why}`]),
    setClock: (time) => kernel.setClock(time, (text) => ui.step("preflight", text)),
  });
  const access = new ClusterAccess({
    connect: () => discovery.connect(),
    callTimeoutMs: timeoutOf(config, "kubernetesAPICall"),
    // A token made just now is in the cluster before every API server knows it.
    refusalsPassMs: NEW_TOKEN_MS,
  });
  const notes = node.notes(madeByItself(node.name));
  let joining: Promise<Joining> | undefined;
  return {
    node,
    config,
    registration,
    discovery,
    access,
    asked,
    notes,
    controlPlane: () => {
      joining ??= furtherControlPlane({ node, config, registration, access, notes });
      return joining;
    },
    close: async () => {
      node.cri.close();
      await access.close();
      await (await joining?.catch(() => undefined))?.admin.close();
    },
  };
}

/** Reads the cluster's configuration and makes of it the control plane that this node becomes. Throws KubestickError. */
async function furtherControlPlane({
  node,
  config,
  registration,
  access,
  notes,
}: Pick<Join, "node" | "config" | "registration" | "access" | "notes">): Promise<Joining> {
  const { text, source } = await access.kubeadmConfig();
  const cluster = storedCluster(text, source);
  if (!cluster.controlPlaneEndpoint)
    throw new KubestickError(
      "unable to add a new control plane: the cluster has no stable controlPlaneEndpoint, so its nodes know only the first one's address",
      { hint: "it is given when the first control plane is made: kubestick init --control-plane-endpoint NAME:6443" },
    );
  const own: InitConfig = {
    bootstrapTokens: [],
    localAPIEndpoint: localEndpoint(config, node.facts, cluster.networking.serviceSubnet),
    nodeRegistration: registration,
    ...(config.timeouts ? { timeouts: config.timeouts } : {}),
    cluster,
    kubelet: structuredClone(await access.kubeletConfig()),
  };
  checkFamilies(own, (_path, message) => {
    throw new UsageError(`the cluster's networking.serviceSubnet: ${message}`);
  });
  const cp = new ControlPlane(node, own);
  // Its own API server is not there yet.
  return { cp, admin: adminAccess(cp, cp.servers.cluster, notes) };
}

/** The address of this node's own API server, of the family of the cluster's Services. Throws UsageError when it cannot be told. */
export function localEndpoint(config: JoinConfiguration, facts: HostFacts, serviceSubnet: string): LocalApiEndpoint {
  const given = config.controlPlane?.localAPIEndpoint ?? {};
  return {
    advertiseAddress: isUnspecified(given.advertiseAddress)
      ? requireAdvertiseAddress(facts, serviceFamily(serviceSubnet))
      : given.advertiseAddress!,
    bindPort: given.bindPort ?? API_SERVER_PORT,
  };
}
