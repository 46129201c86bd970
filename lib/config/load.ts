import { KUBE_PROXY_MODE_VERSION } from "../constants/versions.ts";
import * as net from "../net/ip.ts";
import { suggest } from "../util/suggest.ts";
import { isSince } from "../util/version.ts";
import { own } from "../yaml/plain.ts";
import { convertV1beta3 } from "./convert.ts";
import { defaultCluster, defaultInit, type HostDefaults } from "./defaults.ts";
import { type ConfigDocument, readDocuments } from "./document.ts";
import { kubeProxySchema } from "./kube-proxy-schema.ts";
import { kubeadmSchemas } from "./kubeadm-schema.ts";
import { kubeletSchema } from "./kubelet-schema.ts";
import { lowerHostNames } from "./names.ts";
import { NO_EFFECT } from "./no-effect.ts";
import { normalizeNode } from "./node.ts";
import { ConfigError, type Problem } from "./problems.ts";
import type { Schema } from "./schema.ts";
import type {
  ClusterConfiguration,
  ComponentConfig,
  InitConfig,
  InitConfiguration,
  JoinConfiguration,
} from "./types.ts";
import {
  type Report,
  validateCluster,
  validateComponentConfig,
  validateFamilies,
  validateInit,
  validateJoin,
} from "./validate.ts";

/** Every document kind that kubestick reads, by API version. */
const SCHEMAS: Record<string, Record<string, Schema>> = {
  ...kubeadmSchemas,
  "kubelet.config.k8s.io/v1beta1": { KubeletConfiguration: kubeletSchema },
  "kubeproxy.config.k8s.io/v1alpha1": { KubeProxyConfiguration: kubeProxySchema },
};

/** The kinds that a command works from. One file may serve several commands: the others' documents are theirs to judge. */
const USED = {
  init: ["InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"],
  join: ["JoinConfiguration"],
};

/** kubeadm's kinds that none of these commands reads. */
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
 * document that the command works from is collected in `problems`; nothing is thrown.
 */
export function parseConfig(text: string, file: string, command: keyof typeof USED = "init"): ParsedConfig {
  const { documents, problems } = readDocuments(text, file);
  const byKind = new Map<string, ConfigDocument>();
  const values = new Map<string, Record<string, unknown>>();
  const warnings: string[] = [];
  let movedTimeouts: Record<string, unknown> = {};
  for (const doc of documents) {
    const schema = schemaOf(doc, problems);
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
    if (schema === "ignored" || !USED[command].includes(kind)) {
      warnings.push(`${file}:${doc.startLine}: ${kind} is not used by ${command} and is ignored`);
      continue;
    }
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
    for (const [path, why] of NO_EFFECT[kind] ?? [])
      if (doc.has(path)) warnings.push(`${file}:${doc.lineOf(path)}: ${kind}.${path} has no effect here: ${why}`);
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
  normalizeNode(parsed.init?.nodeRegistration, warnings);
  normalizeNode(parsed.join?.nodeRegistration, warnings);
  validateParsed(parsed);
  const needed = USED[command].filter((kind) => !kind.startsWith("Kube"));
  if (problems.length === 0 && !needed.some((kind) => values.has(kind)))
    problems.push({ file, line: 1, path: "document", message: `there is no ${needed.join(" or ")} in it` });
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

function schemaOf(doc: ConfigDocument, problems: Problem[]): Schema | "ignored" | undefined {
  const { apiVersion, kind, file, startLine: line } = doc;
  const reject = (message: string): undefined => {
    problems.push({ file, line, path: kind ?? "document", message });
    return undefined;
  };
  if (apiVersion === undefined || apiVersion === "")
    return reject('needs "apiVersion", such as kubeadm.k8s.io/v1beta4');
  if (kind === undefined || kind === "") return reject('needs "kind", such as ClusterConfiguration');
  const kinds = own(SCHEMAS, apiVersion);
  if (!kinds) {
    const near = suggest(apiVersion, Object.keys(SCHEMAS));
    return reject(
      `unknown apiVersion "${apiVersion}"; ${near ? `did you mean "${near}"?` : `known: ${Object.keys(SCHEMAS).join(", ")}`}`,
    );
  }
  const schema = own(kinds, kind);
  if (schema) return schema;
  if (apiVersion.startsWith("kubeadm.") && FOREIGN_KINDS.includes(kind)) return "ignored";
  const near = suggest(kind, Object.keys(kinds));
  return reject(
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
    const flag = own(flags.flagOf, path) ?? own(flags.flagOf, path.replace(/\[\d+\].*$/, "")) ?? path;
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
  const cluster = defaultCluster(parsed.cluster ?? {});
  const init = defaultInit(parsed.init ?? {}, host, cluster.networking.serviceSubnet);
  const endpoint = cluster.controlPlaneEndpoint ? net.splitHostPort(cluster.controlPlaneEndpoint) : undefined;
  // With the port in it, so that control planes which join later use the same (kubeadm SetClusterDynamicDefaults).
  if (endpoint)
    cluster.controlPlaneEndpoint = net.joinHostPort(endpoint.host, endpoint.port ?? init.localAPIEndpoint.bindPort);
  const config: InitConfig = { ...init, cluster };
  if (parsed.kubelet) config.kubelet = parsed.kubelet;
  if (parsed.kubeProxy) config.kubeProxy = parsed.kubeProxy;
  // Defaults can clash with what was given (a pod subnet that covers the default service subnet), so look again.
  validateParsed({ ...parsed, init, cluster });
  validateFamilies(config, parsed.report("ClusterConfiguration"));
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  warnOfOwnRange(config, parsed.warnings);
  if (config.kubeProxy?.["mode"] === "ipvs" && isSince(config.cluster.kubernetesVersion, KUBE_PROXY_MODE_VERSION))
    parsed.warnings.push("kube-proxy's mode ipvs is deprecated in Kubernetes; iptables and nftables stay");
  return config;
}
