import { ApiClient } from "../api/client.ts";
import type { Cluster } from "../api/cluster.ts";
import { textOf } from "../api/fields.ts";
import type { KubeObject } from "../api/resources.ts";
import type { ComponentConfig } from "../config/kind.ts";
import type { Connection } from "../kubeconfig/kubeconfig.ts";
import { readKubeadmConfig, readKubeletConfig } from "./config.ts";
import { type ClusterNetwork, readClusterNetwork } from "./network.ts";

/** How a cluster is reached. Times are in milliseconds. */
export interface AccessOptions {
  /** Finds out where the API server is, and with whose rights it is asked. Called once. */
  connect: () => Connection | Promise<Connection>;
  callTimeoutMs: number;
  /** How long a refusal can be the server's alone; see ApiClient. */
  refusalsPassMs?: number;
  /** Takes notes of what would be written, in place of the cluster (a dry run). */
  notes?: Cluster;
  /** Run once before the first object is written. */
  prepare?: (cluster: Cluster) => Promise<void>;
}

/**
 * A cluster as one party may read and change it: the connection is made by the first question, and what is read of the
 * cluster is read once. Throws what ApiClient, and the readers of lib/cluster, throw.
 */
export class ClusterAccess {
  readonly #options: AccessOptions;
  #client: Promise<ApiClient> | undefined;
  #cluster: Promise<Cluster> | undefined;
  #kubeadmConfig: Promise<{ text: string; source: string }> | undefined;
  #kubeletConfig: Promise<ComponentConfig> | undefined;
  #network: Promise<ClusterNetwork | undefined> | undefined;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** The client, for questions. */
  client(): Promise<ApiClient> {
    this.#client ??= (async () => {
      const { callTimeoutMs, refusalsPassMs } = this.#options;
      return new ApiClient(await this.#options.connect(), { callTimeoutMs, refusalsPassMs });
    })();
    return this.#client;
  }

  /** Whether anybody has asked the cluster anything by this. */
  get used(): boolean {
    return this.#client !== undefined;
  }

  /** Where objects are written: the cluster, or in a dry run the notes. */
  cluster(): Promise<Cluster> {
    this.#cluster ??= (async () => {
      const cluster = this.#options.notes ?? (await this.client());
      await this.#options.prepare?.(cluster);
      return cluster;
    })();
    return this.#cluster;
  }

  /** Applies objects, several at a time: none of those that are applied together needs another to be there first. */
  async apply(objects: object[]): Promise<void> {
    const cluster = await this.cluster();
    await Promise.all(objects.map((object) => cluster.apply(object as KubeObject)));
  }

  /** The text of the cluster's ClusterConfiguration, and where it stands. */
  kubeadmConfig(): Promise<{ text: string; source: string }> {
    this.#kubeadmConfig ??= this.client().then(readKubeadmConfig);
    return this.#kubeadmConfig;
  }

  /** The kubelet configuration that the cluster keeps for its nodes. */
  kubeletConfig(): Promise<ComponentConfig> {
    this.#kubeletConfig ??= this.client().then(readKubeletConfig);
    return this.#kubeletConfig;
  }

  /** What the control plane says of its networks; undefined where this party may not read it. */
  network(): Promise<ClusterNetwork | undefined> {
    this.#network ??= this.client().then((client) => readClusterNetwork(client));
    return this.#network;
  }

  /** The API server's version; undefined where it tells this party none. */
  async version(): Promise<string | undefined> {
    const told = await (await this.client()).callIfAllowed("GET", "/version");
    return textOf(told?.["gitVersion"]) || undefined;
  }

  /** Ends every connection, so that the process can end. */
  async close(): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.close();
  }
}
