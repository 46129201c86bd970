import { kubeProxyConfig } from "../../addons/kube-proxy.ts";
import { ApiClient } from "../../api/client.ts";
import { type Cluster, DryRunCluster } from "../../api/cluster.ts";
import { ApiError } from "../../api/errors.ts";
import type { KubeObject } from "../../api/resources.ts";
import type { Decision } from "../../binaries/plan.ts";
import { clusterAdmins } from "../../bootstrap/rbac.ts";
import type { Bundle } from "../../bundle/bundle.ts";
import type { InitConfig } from "../../config/init-config.ts";
import type { ComponentConfig } from "../../config/kind.ts";
import { API_CALL_TIMEOUT } from "../../constants/durations.ts";
import { GROUP_MASTERS, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { KUBERNETES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import type { HostFacts } from "../../host/facts.ts";
import type { Files } from "../../host/files.ts";
import { Ledger } from "../../host/ledger.ts";
import { type Connection, readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import { type Adaptation, kubeletConfig } from "../../kubelet/config.ts";
import type { Patch } from "../../manifests/patches.ts";
import { familiesOf, joinHostPort, splitHostPort } from "../../net/ip.ts";
import { CertificateStore } from "../../pki/store.ts";
import { usesSystemdCgroup } from "../../runtime/containerd-config.ts";
import { Cri } from "../../runtime/cri.ts";
import { serviceManager } from "../../services/manager.ts";
import type { ServiceManagerControl } from "../../services/service.ts";
import type { Ui } from "../../ui/ui.ts";
import { parseDuration } from "../../util/duration.ts";
import { decideBinaries } from "../bundle.ts";
import { userPatches } from "../patches.ts";

const SUPER_ADMIN_KUBECONFIG = `${KUBERNETES_DIR}/super-admin.conf`;

/** What `init` was asked to do besides its configuration. */
export interface InitOptions {
  dryRun: boolean;
  /** Where the host's files are, when not at `/`. */
  rootfs: string;
  /** The pods' network: `flat`, `none`, or a file of a provider's manifests. */
  network: string;
  /** Whether this node joins a cluster; its own API server is then not there yet. */
  joining?: boolean;
  uploadCerts: boolean;
  skipTokenPrint: boolean;
  skipCertificateKeyPrint: boolean;
  ignorePreflightErrors: Set<string>;
  /** Replace programs and files that are newer or somebody else's. */
  force: boolean;
  /** Where containerd has a registry's images instead, by host; `*` for every one. */
  registryMirrors: Map<string, string>;
}

/** What the phases of `init` share. What is costly to find out is found out once, by the first phase that asks. */
export class InitContext {
  readonly pki: CertificateStore;
  readonly services: ServiceManagerControl;
  readonly dryRunCluster = new DryRunCluster();
  certificateKey: string | undefined;
  #cri: Cri | undefined;
  #client: ApiClient | undefined;
  #cluster: Promise<Cluster> | undefined;
  #driver: Promise<"systemd" | "cgroupfs" | undefined> | undefined;
  #patches: Patch[] | undefined;
  readonly #told = new Set<string>();

  constructor(
    readonly config: InitConfig,
    readonly facts: HostFacts,
    readonly files: Files,
    readonly ui: Ui,
    readonly options: InitOptions,
    readonly bundle: Bundle | undefined = undefined,
    /** One account of this host's files: a join hands its own on. */
    readonly ledger: Ledger = new Ledger(files),
    /** The user's patches, where they have been read already. */
    patches: Patch[] | undefined = undefined,
  ) {
    this.#patches = patches;
    this.pki = new CertificateStore(files, config, facts.now);
    this.services = serviceManager(facts.serviceManager, files);
    this.certificateKey = config.certificateKey || undefined;
  }

  get criSocket(): string {
    return this.config.nodeRegistration.criSocket;
  }

  get kubernetesVersion(): string {
    return this.config.cluster.kubernetesVersion;
  }

  /** What is to be done about this host's programs. */
  readonly decisions = (): Decision[] => (this.bundle ? decideBinaries(this, this.bundle) : []);

  get nodeName(): string {
    return this.config.nodeRegistration.name;
  }

  /** The IP families of the cluster's networks: its pods', in their order, or else its Services'. */
  get families(): (4 | 6)[] {
    const { podSubnet, serviceSubnet } = this.config.cluster.networking;
    return familiesOf(podSubnet || serviceSubnet);
  }

  /** The container runtime. */
  get cri(): Cri {
    this.#cri ??= new Cri(this.criSocket);
    return this.#cri;
  }

  /** The user's patches; none where no directory is given. They are read once, from this machine, not from `--rootfs`. */
  get patches(): Patch[] {
    this.#patches ??= userPatches(this.config.patches?.directory, this.ui);
    return this.#patches;
  }

  /** `https://` and the address of this node's own API server. */
  get localServer(): string {
    const { advertiseAddress, bindPort } = this.config.localAPIEndpoint;
    return `https://${joinHostPort(advertiseAddress, bindPort)}`;
  }

  /** `https://` and the address that clients of the cluster use: the control plane endpoint where there is one. */
  get clusterServer(): string {
    const endpoint = this.config.cluster.controlPlaneEndpoint;
    if (!endpoint) return this.localServer;
    const { host, port } = splitHostPort(endpoint)!;
    return `https://${joinHostPort(host, port ?? this.config.localAPIEndpoint.bindPort)}`;
  }

  /** The kubelet's configuration, the cluster's and this host's; what was fitted to it is told once, with the reason. */
  async kubelet(): Promise<{ shared: ComponentConfig; local: ComponentConfig }> {
    this.#driver ??= this.#askCgroupDriver();
    const { shared, local, adaptations } = kubeletConfig(this.config, this.facts, await this.#driver);
    this.#tell("kubelet-start", adaptations);
    return { shared, local };
  }

  /** kube-proxy's configuration for this host; told as the kubelet's. */
  kubeProxy(): ComponentConfig {
    const { config, adaptations } = kubeProxyConfig(this.config, this.facts.conntrack);
    this.#tell("addon", adaptations);
    return config;
  }

  /** Says once what was chosen because of the host. */
  #tell(phase: string, adaptations: Adaptation[]): void {
    for (const { setting, why } of adaptations) {
      if (this.#told.has(setting)) continue;
      this.#told.add(setting);
      this.ui.step(phase, `${setting} (because ${why})`);
    }
  }

  async #askCgroupDriver(): Promise<"systemd" | "cgroupfs" | undefined> {
    if (this.config.kubelet?.["cgroupDriver"] !== undefined) return undefined;
    try {
      return await this.cri.cgroupDriver();
    } catch (error) {
      // A dry run also works where there is no runtime yet; the real one needs the answer.
      if (!this.options.dryRun) throw error;
      if (this.bundle) return usesSystemdCgroup(this.facts) ? "systemd" : "cgroupfs";
      this.ui.warn("the container runtime does not answer; its cgroup driver is taken to be systemd, as kubeadm does");
      return undefined;
    }
  }

  /** The connection of a kubeconfig below /etc/kubernetes: to this node's own API server, or the cluster's while it joins. */
  connection(name: string): Connection {
    const path = `${KUBERNETES_DIR}/${name}`;
    const text = this.files.readText(path);
    if (text === undefined)
      throw new KubestickError(`${path} is not there`, { hint: "run first: kubestick init phase kubeconfig all" });
    const connection = readKubeconfig(text, path, (file) => this.files.readText(file));
    return { ...connection, server: this.options.joining ? this.clusterServer : this.localServer };
  }

  /** A client with the rights of `system:masters`, or of admin.conf where super-admin.conf has been put away. */
  get client(): ApiClient {
    this.#client ??= this.#clientOf(this.files.exists(SUPER_ADMIN_KUBECONFIG) ? "super-admin.conf" : "admin.conf");
    return this.#client;
  }

  #clientOf(kubeconfig: string): ApiClient {
    const timeout = this.config.timeouts?.kubernetesAPICall;
    const callTimeoutMs = timeout ? parseDuration(timeout) : API_CALL_TIMEOUT;
    // An API server that has just started does not know its RBAC roles yet, and forbids everything.
    return new ApiClient(this.connection(kubeconfig), { callTimeoutMs, refusalsPassMs: callTimeoutMs });
  }

  /**
   * Waits until the API server lets admin.conf in, where this run has talked to it: super-admin.conf, by which all the
   * rest goes, needs no roles, and those come seconds after the API server is up (its hook rbac/bootstrap-roles).
   */
  async expectAdmins(): Promise<void> {
    if (!this.#client) return;
    const admin = this.#clientOf("admin.conf");
    try {
      await admin.get("v1", "Namespace", NAMESPACE_SYSTEM);
    } finally {
      await admin.close();
    }
  }

  /** The cluster, with admin.conf's group already made administrators; in a dry run the one that takes notes. */
  cluster(): Promise<Cluster> {
    this.#cluster ??= this.#connect();
    return this.#cluster;
  }

  async #connect(): Promise<Cluster> {
    const cluster = this.options.dryRun ? this.dryRunCluster : this.client;
    await cluster.apply(clusterAdmins() as KubeObject).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 403) || this.files.exists(SUPER_ADMIN_KUBECONFIG))
        throw error;
      throw new KubestickError(error.message, {
        hint: `nobody has more rights yet: put ${SUPER_ADMIN_KUBECONFIG} there, whose user is in the group ${GROUP_MASTERS}, then run the same command again`,
        cause: error,
      });
    });
    return cluster;
  }

  /** Applies objects, several at a time: none of those that are applied together needs another to be there first. */
  async apply(objects: object[]): Promise<void> {
    const cluster = await this.cluster();
    await Promise.all(objects.map((object) => cluster.apply(object as KubeObject)));
  }

  /** Ends every connection, so that the process can end. */
  async close(): Promise<void> {
    this.#cri?.close();
    await this.#client?.close();
  }
}
