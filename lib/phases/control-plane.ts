import { kubeProxyConfig } from "../addons/kube-proxy.ts";
import { ApiClient } from "../api/client.ts";
import type { DryRunCluster } from "../api/cluster.ts";
import { ApiError } from "../api/errors.ts";
import type { KubeObject } from "../api/resources.ts";
import { clusterAdmins } from "../bootstrap/rbac.ts";
import { ClusterAccess } from "../cluster/access.ts";
import type { InitConfig } from "../config/init-config.ts";
import type { ComponentConfig } from "../config/kind.ts";
import { API_CALL_TIMEOUT } from "../constants/durations.ts";
import { GROUP_MASTERS, NAMESPACE_SYSTEM } from "../constants/names.ts";
import { KUBERNETES_DIR } from "../constants/paths.ts";
import type { Node } from "../edge/node.ts";
import { KubestickError } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { type Connection, readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { type Adaptation, kubeletConfig } from "../kubelet/config.ts";
import { joinHostPort, splitHostPort } from "../net/ip.ts";
import { CertificateStore } from "../pki/store.ts";
import { parseDuration } from "../util/duration.ts";

const SUPER_ADMIN_KUBECONFIG = `${KUBERNETES_DIR}/super-admin.conf`;

/** The API servers that kubeconfigs name, as `https://HOST:PORT`. */
export interface Servers {
  /** This node's own. */
  local: string;
  /** The one that clients of the cluster use: the control plane endpoint where there is one. */
  cluster: string;
}

/** A node that runs a control plane: the first one's configuration, or the cluster's for a further one. */
export class ControlPlane {
  readonly pki: CertificateStore;
  readonly servers: Servers;
  #driver: Promise<"systemd" | "cgroupfs" | undefined> | undefined;
  readonly #told = new Set<string>();

  constructor(
    readonly node: Node,
    readonly config: InitConfig,
  ) {
    this.pki = new CertificateStore(node.files, config, node.facts.now);
    this.servers = serversOf(config);
  }

  /** The kubelet's configuration, the cluster's and this host's; what was fitted to it is told once, with the reason. */
  async kubelet(): Promise<{ shared: ComponentConfig; local: ComponentConfig }> {
    this.#driver ??= this.#cgroupDriver();
    const { shared, local, adaptations } = kubeletConfig(this.config, this.node.facts, await this.#driver);
    this.#tell("kubelet-start", adaptations);
    return { shared, local };
  }

  /** kube-proxy's configuration for this host; told as the kubelet's. */
  kubeProxy(): ComponentConfig {
    const { config, adaptations } = kubeProxyConfig(this.config, this.node.facts.conntrack);
    this.#tell("addon", adaptations);
    return config;
  }

  /** timeouts.kubernetesAPICall in milliseconds. */
  get callTimeoutMs(): number {
    const given = this.config.timeouts?.kubernetesAPICall;
    return given ? parseDuration(given) : API_CALL_TIMEOUT;
  }

  /** Says once what was chosen because of the host. */
  #tell(phase: string, adaptations: Adaptation[]): void {
    for (const { setting, why } of adaptations) {
      if (this.#told.has(setting)) continue;
      this.#told.add(setting);
      this.node.ui.step(phase, `${setting} (because ${why})`);
    }
  }

  async #cgroupDriver(): Promise<"systemd" | "cgroupfs" | undefined> {
    return this.config.kubelet?.["cgroupDriver"] === undefined ? this.node.cri.cgroupDriver() : undefined;
  }
}

/** The addresses of a cluster's API servers, by its configuration. */
export function serversOf({ localAPIEndpoint, cluster }: Pick<InitConfig, "localAPIEndpoint" | "cluster">): Servers {
  const { advertiseAddress, bindPort } = localAPIEndpoint;
  const local = `https://${joinHostPort(advertiseAddress, bindPort)}`;
  const endpoint = cluster.controlPlaneEndpoint ? splitHostPort(cluster.controlPlaneEndpoint) : undefined;
  return {
    local,
    cluster: endpoint ? `https://${joinHostPort(endpoint.host, endpoint.port ?? bindPort)}` : local,
  };
}

/** The credentials of a kubeconfig below /etc/kubernetes for a server. Throws KubestickError where it is not there. */
export function adminConnection(files: Files, name: string, server: string): Connection {
  const path = `${KUBERNETES_DIR}/${name}`;
  const text = files.readText(path);
  if (text === undefined)
    throw new KubestickError(`${path} is not there`, { hint: "run first: kubestick init phase kubeconfig all" });
  return { ...readKubeconfig(text, path, (file) => files.readText(file)), server };
}

/**
 * Waits until the API server lets admin.conf in: super-admin.conf, by which all the rest goes, needs no roles, and those
 * come seconds after the API server is up (its hook rbac/bootstrap-roles). Throws what ApiClient throws.
 */
export async function expectAdmins({ node, servers, callTimeoutMs }: ControlPlane): Promise<void> {
  const connection = adminConnection(node.files, "admin.conf", servers.local);
  const client = new ApiClient(connection, { callTimeoutMs, refusalsPassMs: callTimeoutMs });
  try {
    await client.get("v1", "Namespace", NAMESPACE_SYSTEM);
  } finally {
    await client.close();
  }
}

/**
 * The cluster with the rights of `system:masters`, or of admin.conf where super-admin.conf has been put away; admin.conf's
 * group is made administrators first. `server` is the one to ask, `notes` take down what a dry run would write.
 */
export function adminAccess(cp: ControlPlane, server: string, notes?: DryRunCluster): ClusterAccess {
  const { files } = cp.node;
  const hasSuperAdmin = () => files.exists(SUPER_ADMIN_KUBECONFIG);
  return new ClusterAccess({
    connect: () => adminConnection(files, hasSuperAdmin() ? "super-admin.conf" : "admin.conf", server),
    callTimeoutMs: cp.callTimeoutMs,
    // An API server that has just started does not know its RBAC roles yet, and forbids everything.
    refusalsPassMs: cp.callTimeoutMs,
    notes,
    prepare: async (cluster) => {
      await cluster.apply(clusterAdmins() as KubeObject).catch((error: unknown) => {
        if (!(error instanceof ApiError && error.status === 403) || hasSuperAdmin()) throw error;
        throw new KubestickError(error.message, {
          hint: `nobody has more rights yet: put ${SUPER_ADMIN_KUBECONFIG} there, whose user is in the group ${GROUP_MASTERS}, then run the same command again`,
          cause: error,
        });
      });
    },
  });
}
