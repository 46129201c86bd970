import { type ClockSkew, type DiscoveredCluster, discoverByToken } from "../../bootstrap/discovery.ts";
import { type DiscoveryCredentials, discoverByFile } from "../../bootstrap/discovery-file.ts";
import type { JoinConfiguration } from "../../config/kinds/join.ts";
import { API_CALL_TIMEOUT, DISCOVERY_TIMEOUT } from "../../constants/durations.ts";
import { API_SERVER_PORT } from "../../constants/ports.ts";
import { UsageError } from "../../errors.ts";
import type { Connection } from "../../kubeconfig/kubeconfig.ts";
import { joinHostPort, splitHostPort } from "../../net/ip.ts";
import type { Environment } from "../../net/proxy.ts";
import { parseDuration } from "../../util/duration.ts";

/** What is done while a cluster is looked for. */
export interface DiscoveryHelp {
  /** Set this host's clock to the control plane's also where it is not wrong beyond doubt. */
  syncTime: boolean;
  /** Told why the cluster is not found yet. */
  waiting: (why: string) => void;
  /** Sets the clock; gives whether it did. */
  setClock: (time: Date) => boolean;
  /** The variables in which a proxy to the discovery file may be named. */
  environment: Environment;
}

/** How a joining node finds its cluster, and what it may ask it. The cluster is looked for once, by whoever asks first. */
export class Discovery {
  readonly #config: JoinConfiguration;
  readonly #help: DiscoveryHelp;
  #found: Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> | undefined;

  constructor(config: JoinConfiguration, help: DiscoveryHelp) {
    this.#config = config;
    this.#help = help;
  }

  /** `host:port` of the API server that was named, or the file that names it. */
  get endpoint(): string {
    return endpointOf(this.#config);
  }

  /** The token that asks for this node's certificate: its own, or the one of discovery; undefined where a file has credentials. */
  get bootstrapToken(): string | undefined {
    return this.#config.discovery!.tlsBootstrapToken ?? this.#config.discovery!.bootstrapToken?.token;
  }

  /** The cluster, found and proven. Throws KubestickError; see discoverByToken and discoverByFile. */
  find(): Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> {
    this.#found ??= this.#look();
    return this.#found;
  }

  /** The way to the cluster with what this node asks for its certificate with. Throws UsageError when it has nothing. */
  async connect(): Promise<Connection> {
    const { server, ca, client } = await this.find();
    const own = client ?? (this.bootstrapToken ? { token: this.bootstrapToken } : undefined);
    if (!own) throw new UsageError(`${this.endpoint} holds no credentials`, "give a token with --tls-bootstrap-token");
    return "token" in own
      ? { server, ca, ...own }
      : { server, ca, clientCertificate: own.certificate, clientKey: own.key };
  }

  #look(): Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> {
    const { file, bootstrapToken } = this.#config.discovery!;
    const timeoutMs = timeoutOf(this.#config, "discovery", DISCOVERY_TIMEOUT);
    if (file) return discoverByFile(file.kubeConfigPath ?? "", timeoutMs, this.#help.environment);
    const { token, caCertHashes, unsafeSkipCAVerification } = bootstrapToken!;
    return discoverByToken({
      endpoint: this.endpoint,
      token: token ?? this.bootstrapToken!,
      pins: caCertHashes ?? [],
      unsafeSkipCaVerification: unsafeSkipCAVerification ?? false,
      timeoutMs,
      waiting: this.#help.waiting,
      setClock: (skew) => this.#setClock(skew),
    });
  }

  /** A clock before the cluster's own beginning is wrong beyond doubt; any other is set only when asked for. */
  #setClock({ serverTime, caNotBefore }: ClockSkew): boolean {
    return (this.#help.syncTime || new Date() < caNotBefore) && this.#help.setClock(serverTime);
  }
}

/** `host:port` of the API server that a configuration names, or the file that names it. */
export function endpointOf({ discovery }: JoinConfiguration): string {
  const { file, bootstrapToken } = discovery!;
  if (file) return file.kubeConfigPath ?? "";
  const { host, port } = splitHostPort(bootstrapToken!.apiServerEndpoint!)!;
  return joinHostPort(host, port ?? API_SERVER_PORT);
}

/** A timeout of the configuration in milliseconds, or a default. */
export function timeoutOf(
  { timeouts }: JoinConfiguration,
  name: "discovery" | "tlsBootstrap" | "kubernetesAPICall",
  fallback = API_CALL_TIMEOUT,
): number {
  const text = timeouts?.[name];
  return text ? parseDuration(text) : fallback;
}
