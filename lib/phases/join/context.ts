import { ApiClient } from "../../api/client.ts";
import type { Decision } from "../../binaries/plan.ts";
import { type ClockSkew, type DiscoveredCluster, discoverByToken } from "../../bootstrap/discovery.ts";
import { type DiscoveryCredentials, discoverByFile } from "../../bootstrap/discovery-file.ts";
import type { Bundle } from "../../bundle/bundle.ts";
import type { ComponentConfig } from "../../config/kind.ts";
import type { LocalApiEndpoint, NodeRegistration } from "../../config/kinds/fields.ts";
import { isUnspecified, serviceFamily } from "../../config/kinds/init.ts";
import { type JoinConfiguration, join } from "../../config/kinds/join.ts";
import { API_CALL_TIMEOUT, DISCOVERY_TIMEOUT } from "../../constants/durations.ts";
import { API_SERVER_PORT } from "../../constants/ports.ts";
import { KUBERNETES_VERSION } from "../../constants/versions.ts";
import { KubestickError, UsageError } from "../../errors.ts";
import { setClock } from "../../host/clock.ts";
import { type HostFacts, requireAdvertiseAddress, requireNodeName } from "../../host/facts.ts";
import type { Files } from "../../host/files.ts";
import { Ledger } from "../../host/ledger.ts";
import type { Patch } from "../../manifests/patches.ts";
import { joinHostPort, splitHostPort } from "../../net/ip.ts";
import { Cri } from "../../runtime/cri.ts";
import { serviceManager } from "../../services/manager.ts";
import type { ServiceManagerControl } from "../../services/service.ts";
import type { Ui } from "../../ui/ui.ts";
import { parseDuration } from "../../util/duration.ts";
import { decideBinaries } from "../bundle.ts";
import type { InitContext } from "../init/context.ts";
import { userPatches } from "../patches.ts";
import { controlPlaneContext } from "./control-plane.ts";
import { sharedKubeletConfig } from "./uploaded-config.ts";

const NEW_TOKEN_MS = 5_000;

/** What `join` was asked to do besides its configuration. */
export interface JoinOptions {
  dryRun: boolean;
  ignorePreflightErrors: Set<string>;
  /** Set this host's clock to the control plane's when TLS cannot do with it. */
  syncTime: boolean;
  /** Replace programs and files that are newer or somebody else's. */
  force: boolean;
  /** Where containerd has a registry's images instead, by host; `*` for every one. */
  registryMirrors: Map<string, string>;
}

/** What the phases of `join` share. The cluster is looked for once, by the first phase that needs it. */
export class JoinContext {
  readonly ledger: Ledger;
  readonly services: ServiceManagerControl;
  readonly node: NodeRegistration;
  #cri: Cri | undefined;
  #discovered: Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> | undefined;
  #client: ApiClient | undefined;
  #kubelet: Promise<ComponentConfig> | undefined;
  #controlPlane: Promise<InitContext> | undefined;
  #decisions: Decision[] | undefined;
  #patches: Patch[] | undefined;

  constructor(
    readonly config: JoinConfiguration,
    readonly facts: HostFacts,
    readonly files: Files,
    readonly ui: Ui,
    readonly options: JoinOptions,
    readonly bundle: Bundle | undefined = undefined,
  ) {
    this.ledger = new Ledger(files);
    this.services = serviceManager(facts.serviceManager, files);
    this.node = join.defaults(config, { host: { hostname: () => requireNodeName(facts) } }).nodeRegistration;
  }

  get criSocket(): string {
    return this.node.criSocket;
  }

  /** What a joining node can know of the cluster's version before it has found it: the bundle's. */
  get kubernetesVersion(): string {
    return this.bundle?.kubernetesVersion ?? KUBERNETES_VERSION;
  }

  /** What is to be done about this host's programs, as it was before anything was done. */
  readonly decisions = (): Decision[] => {
    this.#decisions ??= this.bundle ? decideBinaries(this, this.bundle) : [];
    return this.#decisions;
  };

  get nodeName(): string {
    return this.node.name;
  }

  /** What a joining node can know of the cluster's IP families before it has found it: that of the control plane's address. */
  get families(): (4 | 6)[] {
    return [this.endpoint.startsWith("[") ? 6 : 4];
  }

  /** `host:port` of the API server that was named, or the file that names it. */
  get endpoint(): string {
    const { file, bootstrapToken } = this.config.discovery!;
    if (file) return file.kubeConfigPath ?? "";
    const { host, port } = splitHostPort(bootstrapToken!.apiServerEndpoint!)!;
    return joinHostPort(host, port ?? API_SERVER_PORT);
  }

  /** The token that asks for this node's certificate: its own, or the one of discovery; undefined where a file has credentials. */
  get bootstrapToken(): string | undefined {
    return this.config.discovery!.tlsBootstrapToken ?? this.config.discovery!.bootstrapToken?.token;
  }

  /** What this node asks for its certificate with. Throws UsageError when neither a token nor the file has anything. */
  async credentials(): Promise<DiscoveryCredentials> {
    const { client } = await this.discover();
    if (client) return client;
    if (this.bootstrapToken) return { token: this.bootstrapToken };
    throw new UsageError(`${this.endpoint} holds no credentials`, "give a token with --tls-bootstrap-token");
  }

  get cri(): Cri {
    this.#cri ??= new Cri(this.criSocket);
    return this.#cri;
  }

  /** The user's patches, read once; none where no directory is given. */
  get patches(): Patch[] {
    this.#patches ??= userPatches(this.config.patches?.directory, this.ui);
    return this.#patches;
  }

  /** A timeout of the configuration in milliseconds, or a default. */
  timeout(name: "discovery" | "tlsBootstrap" | "kubernetesAPICall", fallback: number): number {
    const text = this.config.timeouts?.[name];
    return text ? parseDuration(text) : fallback;
  }

  /** The cluster, found and proven. Throws KubestickError; see discoverByToken and discoverByFile. */
  discover(): Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> {
    const { file, bootstrapToken } = this.config.discovery!;
    const timeoutMs = this.timeout("discovery", DISCOVERY_TIMEOUT);
    if (file) {
      this.#discovered ??= discoverByFile(file.kubeConfigPath ?? "", timeoutMs);
      return this.#discovered;
    }
    const { token, caCertHashes, unsafeSkipCAVerification } = bootstrapToken!;
    this.#discovered ??= discoverByToken({
      endpoint: this.endpoint,
      token: token ?? this.bootstrapToken!,
      pins: caCertHashes ?? [],
      unsafeSkipCaVerification: unsafeSkipCAVerification ?? false,
      timeoutMs,
      waiting: (why) => this.ui.live("preflight", [`discovery: ${why}`]),
      setClock: (skew) => this.#setClock(skew),
    });
    return this.#discovered;
  }

  /** A clock before the cluster's own beginning is wrong beyond doubt; any other is set only when asked for. */
  #setClock({ serverTime, caNotBefore }: ClockSkew): boolean {
    const now = new Date();
    if (!this.options.syncTime && now >= caNotBefore) return false;
    if (this.options.dryRun) {
      this.ui.step("preflight", `Would set the clock from ${now.toISOString()} to ${serverTime.toISOString()}`);
      return false;
    }
    const why = setClock(serverTime);
    if (why) throw new KubestickError(`cannot set this host's clock to ${serverTime.toISOString()}: ${why}`);
    this.ui.step(
      "preflight",
      `Set the clock from ${now.toISOString()} to ${serverTime.toISOString()}, the control plane's`,
    );
    return true;
  }

  /** A client with the rights of the bootstrap token, or of the discovery file. */
  async client(): Promise<ApiClient> {
    const { server, ca } = await this.discover();
    const own = await this.credentials();
    this.#client ??= new ApiClient(
      "token" in own ? { server, ca, ...own } : { server, ca, clientCertificate: own.certificate, clientKey: own.key },
      {
        callTimeoutMs: this.timeout("kubernetesAPICall", API_CALL_TIMEOUT),
        // A token made just now is in the cluster before every API server knows it.
        refusalsPassMs: NEW_TOKEN_MS,
      },
    );
    return this.#client;
  }

  /** The kubelet configuration that the cluster keeps for its nodes. Throws KubestickError when it keeps none. */
  sharedKubeletConfig(): Promise<ComponentConfig> {
    this.#kubelet ??= this.client().then(sharedKubeletConfig);
    return this.#kubelet;
  }

  /** What `init` would work from on this node, when it joins as a control plane. */
  controlPlane(): Promise<InitContext> {
    this.#controlPlane ??= controlPlaneContext(this);
    return this.#controlPlane;
  }

  /** The address of this node's own API server, of the family of the cluster's Services. Throws UsageError when it cannot be told. */
  localEndpoint(serviceSubnet: string): LocalApiEndpoint {
    const given = this.config.controlPlane?.localAPIEndpoint ?? {};
    return {
      advertiseAddress: isUnspecified(given.advertiseAddress)
        ? requireAdvertiseAddress(this.facts, serviceFamily(serviceSubnet))
        : given.advertiseAddress!,
      bindPort: given.bindPort ?? API_SERVER_PORT,
    };
  }

  /** Ends every connection, so that the process can end. */
  async close(): Promise<void> {
    this.#cri?.close();
    await this.#client?.close();
    await (await this.#controlPlane?.catch(() => undefined))?.close();
  }
}
