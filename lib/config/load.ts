import { KUBE_PROXY_MODE_VERSION } from "../constants/versions.ts";
import * as net from "../host/net.ts";
import { convertV1beta3 } from "./convert.ts";
import { defaultCluster, defaultInit, type HostDefaults } from "./defaults.ts";
import { type ConfigDocument, readDocuments } from "./document.ts";
import { kubeProxySchema } from "./kube-proxy-schema.ts";
import { kubeadmSchemas } from "./kubeadm-schema.ts";
import { kubeletSchema } from "./kubelet-schema.ts";
import { lowerHostNames } from "./names.ts";
import { ConfigError, type Problem, suggest } from "./problems.ts";
import type { Schema } from "./schema.ts";
import type {
  ClusterConfiguration,
  ComponentConfig,
  InitConfig,
  InitConfiguration,
  JoinConfiguration,
} from "./types.ts";
import { type Report, validateCluster, validateComponentConfig, validateInit, validateJoin } from "./validate.ts";
import { isSince } from "./version.ts";

/** Every document kind that kubestick reads, by API version. */
const SCHEMAS: Record<string, Record<string, Schema>> = {
  ...kubeadmSchemas,
  "kubelet.config.k8s.io/v1beta1": { KubeletConfiguration: kubeletSchema },
  "kubeproxy.config.k8s.io/v1alpha1": { KubeProxyConfiguration: kubeProxySchema },
};

/** kubeadm kinds that other commands own; kubeadm ignores them too where they do not apply. */
const FOREIGN_KINDS = ["ResetConfiguration", "UpgradeConfiguration", "ClusterStatus"];

/** The documents of one configuration, read and checked, before defaulting. */
export interface ParsedConfig {
  init?: Partial<InitConfiguration>;
  cluster?: Partial<ClusterConfiguration>;
  join?: JoinConfiguration;
  kubelet?: ComponentConfig;
  kubeProxy?: ComponentConfig;
  warnings: string[];
  /** Reports a problem at a path of a document that was (or was not) there. */
  report(kind: string): Report;
  problems: Problem[];
}

/**
 * Reads a configuration file's text: multi-document YAML of the kinds that kubeadm takes. Every problem of every
 * document is collected in `problems`; nothing is thrown.
 */
export function parseConfig(text: string, file: string): ParsedConfig {
  const { documents, problems } = readDocuments(text, file);
  const byKind = new Map<string, ConfigDocument>();
  const values = new Map<string, Record<string, unknown>>();
  const warnings: string[] = [];
  let movedTimeouts: Record<string, unknown> = {};
  for (const doc of documents) {
    const schema = schemaOf(doc, problems, warnings);
    if (!schema) continue;
    const kind = doc.kind!;
    if (byKind.has(kind)) {
      problems.push({
        file,
        line: doc.startLine,
        path: kind,
        message: "is given twice; keep one document of each kind",
      });
      continue;
    }
    byKind.set(kind, doc);
    const value = doc.read(schema);
    if (doc.apiVersion!.endsWith("/v1beta3")) {
      const moved = convertV1beta3(kind, value);
      if (kind === "ClusterConfiguration") movedTimeouts = moved;
      warnings.push(`${file}:${doc.startLine}: ${kind} is kubeadm.k8s.io/v1beta3, which is old; write v1beta4`);
    }
    if (doc.apiVersion!.startsWith("kubeadm.")) {
      delete value["apiVersion"];
      delete value["kind"];
    }
    values.set(kind, value);
  }
  const report =
    (kind: string): Report =>
    (path, message) => {
      const doc = byKind.get(kind);
      if (doc) doc.report(path, message);
      else problems.push({ file, line: documents[0]?.startLine ?? 1, path: path ? `${kind}.${path}` : kind, message });
    };
  if (Object.keys(movedTimeouts).length > 0) {
    const init = values.get("InitConfiguration") ?? {};
    init["timeouts"] = { ...movedTimeouts, ...(init["timeouts"] as object | undefined) };
    values.set("InitConfiguration", init);
  }
  const parsed: ParsedConfig = {
    init: values.get("InitConfiguration") as Partial<InitConfiguration> | undefined,
    cluster: values.get("ClusterConfiguration") as Partial<ClusterConfiguration> | undefined,
    join: values.get("JoinConfiguration") as JoinConfiguration | undefined,
    kubelet: values.get("KubeletConfiguration"),
    kubeProxy: values.get("KubeProxyConfiguration"),
    warnings,
    report,
    problems,
  };
  validateParsed(parsed);
  return parsed;
}

/** Runs every semantic check over what was read, its host names in lower case; also used for values that came from flags. */
function validateParsed(parsed: ParsedConfig): void {
  lowerHostNames(parsed);
  if (parsed.cluster) validateCluster(parsed.cluster, parsed.report("ClusterConfiguration"));
  if (parsed.init) validateInit(parsed.init, parsed.report("InitConfiguration"));
  if (parsed.join) validateJoin(parsed.join, parsed.report("JoinConfiguration"));
  if (parsed.kubelet) {
    validateComponentConfig("KubeletConfiguration", parsed.kubelet, parsed.report("KubeletConfiguration"));
  }
  if (parsed.kubeProxy) {
    validateComponentConfig("KubeProxyConfiguration", parsed.kubeProxy, parsed.report("KubeProxyConfiguration"));
  }
}

/** Warns of a cluster range that holds the node's own address: kubeadm allows it, and it works until an address is given twice. */
function warnOfOwnRange(config: InitConfig, warnings: string[]): void {
  const address = config.localAPIEndpoint.advertiseAddress;
  const { podSubnet, serviceSubnet } = config.cluster.networking;
  for (const subnet of [podSubnet, serviceSubnet].flatMap((s) => s?.split(",") ?? [])) {
    if (!net.contains(net.parseCidr(subnet)!, address)) continue;
    warnings.push(
      `this node's address ${address} lies in the cluster's own range ${subnet}; a pod or Service can be given it too`,
    );
  }
}

function schemaOf(doc: ConfigDocument, problems: Problem[], warnings: string[]): Schema | undefined {
  const { apiVersion, kind, file, startLine: line } = doc;
  const reject = (path: string, message: string): undefined => {
    problems.push({ file, line: doc.lineOf(path), path: kind ?? "document", message });
    return undefined;
  };
  if (apiVersion === undefined || apiVersion === "")
    return reject("apiVersion", 'needs "apiVersion", such as kubeadm.k8s.io/v1beta4');
  if (kind === undefined || kind === "") return reject("kind", 'needs "kind", such as ClusterConfiguration');
  const kinds = Object.hasOwn(SCHEMAS, apiVersion) ? SCHEMAS[apiVersion] : undefined;
  if (!kinds) {
    const near = suggest(apiVersion, Object.keys(SCHEMAS));
    return reject(
      "apiVersion",
      `unknown apiVersion "${apiVersion}"; ${near ? `did you mean "${near}"?` : `known: ${Object.keys(SCHEMAS).join(", ")}`}`,
    );
  }
  const schema = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (schema) return schema;
  if (apiVersion.startsWith("kubeadm.") && FOREIGN_KINDS.includes(kind)) {
    warnings.push(`${file}:${line}: ${kind} is not used by this command and is ignored`);
    return undefined;
  }
  const near = suggest(kind, Object.keys(kinds));
  return reject(
    "kind",
    `unknown kind "${kind}" in ${apiVersion}; ${near ? `did you mean "${near}"?` : `known: ${Object.keys(kinds).join(", ")}`}`,
  );
}

/** Values given as flags, in a configuration's shape, with the flag that each path came from. */
export interface FlagConfig {
  init?: Partial<InitConfiguration>;
  cluster?: Partial<ClusterConfiguration>;
  join?: JoinConfiguration;
  /** `networking.podSubnet` → `--pod-network-cidr` */
  flagOf: Record<string, string>;
}

/** The same result as `parseConfig`, from flags; problems name the flag. */
export function parseFlags(flags: FlagConfig): ParsedConfig {
  const problems: Problem[] = [];
  const report = (): Report => (path, message) => {
    const flag = flags.flagOf[path] ?? flags.flagOf[path.replace(/\[\d+\].*$/, "")] ?? path;
    problems.push({ file: "command line", line: 1, path: flag, message });
  };
  const parsed: ParsedConfig = { ...flags, warnings: [], report, problems };
  validateParsed(parsed);
  return parsed;
}

/**
 * The configuration that `init` runs with: what was parsed, with kubeadm's defaults for the rest. Throws ConfigError
 * with every problem when there is any.
 */
export function initConfig(parsed: ParsedConfig, host: HostDefaults): InitConfig {
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  const init = defaultInit(parsed.init ?? {}, host);
  const config: InitConfig = { ...init, cluster: defaultCluster(parsed.cluster ?? {}) };
  if (parsed.kubelet) config.kubelet = parsed.kubelet;
  if (parsed.kubeProxy) config.kubeProxy = parsed.kubeProxy;
  // Defaults can clash with what was given (a pod subnet that covers the default service subnet), so look again.
  validateParsed({ ...parsed, init, cluster: config.cluster });
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  warnOfOwnRange(config, parsed.warnings);
  if (config.kubeProxy?.["mode"] === "ipvs" && isSince(config.cluster.kubernetesVersion, KUBE_PROXY_MODE_VERSION))
    parsed.warnings.push("kube-proxy's mode ipvs is deprecated in Kubernetes; iptables and nftables stay");
  return config;
}
