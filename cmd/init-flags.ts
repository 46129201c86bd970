import { resolve } from "node:path";
import { newToken } from "../lib/cluster/tokens.ts";
import type { ClusterConfiguration } from "../lib/config/kinds/cluster.ts";
import type { BootstrapToken, InitConfiguration } from "../lib/config/kinds/init.ts";
import type { FlagConfig } from "../lib/config/load.ts";
import { DAY, HOUR, MINUTE } from "../lib/constants/durations.ts";
import { UsageError } from "../lib/errors.ts";
import { formatDuration, parseDuration } from "../lib/util/duration.ts";
import { listValue } from "./args/common.ts";
import type { Given } from "./command.ts";
import { nodeFlags, patchesFlag } from "./flags.ts";

/** The configuration that flags alone describe, for `parseFlags`. */
export function flagConfig(given: Given): FlagConfig {
  const cluster: Record<string, unknown> = {};
  const init: Record<string, unknown> = {};
  const flagOf: Record<string, string> = {};
  const set = (
    owner: Record<string, unknown>,
    path: string,
    flag: string,
    convert: (value: string) => unknown = (v) => v,
  ) => {
    const value = given.get(flag);
    if (value === undefined || value === "") return;
    flagOf[path] = `--${flag}`;
    const keys = path.split(".");
    let at = owner;
    for (const key of keys.slice(0, -1)) {
      at[key] ??= {};
      at = at[key] as Record<string, unknown>;
    }
    at[keys.at(-1)!] = convert(value);
  };
  set(init, "localAPIEndpoint.advertiseAddress", "apiserver-advertise-address");
  set(init, "localAPIEndpoint.bindPort", "apiserver-bind-port", bindPort);
  set(cluster, "apiServer.certSANs", "apiserver-cert-extra-sans", () => listValue(given, "apiserver-cert-extra-sans"));
  set(cluster, "certificatesDir", "cert-dir", (path) => resolve(path));
  set(cluster, "controlPlaneEndpoint", "control-plane-endpoint");
  set(cluster, "featureGates", "feature-gates", () => gates(listValue(given, "feature-gates")));
  set(cluster, "imageRepository", "image-repository");
  set(cluster, "kubernetesVersion", "kubernetes-version");
  set(cluster, "networking.podSubnet", "pod-network-cidr");
  set(cluster, "networking.serviceSubnet", "service-cidr");
  set(cluster, "networking.dnsDomain", "service-dns-domain");
  const ttl = given.get("token-ttl");
  if (given.has("token") || ttl !== undefined) {
    const token: Partial<BootstrapToken> = { token: given.get("token") ?? newToken() };
    if (ttl !== undefined) token.ttl = durationFlag("token-ttl", ttl);
    init["bootstrapTokens"] = [token];
    flagOf["bootstrapTokens[0].token"] = "--token";
    flagOf["bootstrapTokens[0].ttl"] = "--token-ttl";
  }
  return { init: init as Partial<InitConfiguration>, cluster: cluster as Partial<ClusterConfiguration>, flagOf };
}

/** Settings that a flag overrides whether or not there is a configuration file. */
export function overrides(given: Given, init: NonNullable<FlagConfig["init"]>): NonNullable<FlagConfig["init"]> {
  const key = given.get("certificate-key");
  return {
    ...init,
    nodeRegistration: { ...init.nodeRegistration, ...nodeFlags(given) },
    ...patchesFlag(given),
    ...(key ? { certificateKey: key } : {}),
  };
}

/** A port out of --apiserver-bind-port. Throws UsageError. */
export function bindPort(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > 65535)
    throw new UsageError(`--apiserver-bind-port is a port from 1 to 65535, not ${JSON.stringify(value)}`);
  return number;
}

function gates(pairs: string[]): Record<string, boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^([A-Za-z0-9]+)=(true|false)$/.exec(pair);
      if (!match) throw new UsageError(`--feature-gates takes name=true or name=false, not ${JSON.stringify(pair)}`);
      return [match[1]!, match[2] === "true"];
    }),
  );
}

/** A flag's duration as Go prints it; a bare 0 is taken too. Throws UsageError naming the flag. */
export function durationFlag(name: string, value: string): string {
  try {
    return formatDuration(parseDuration(value === "0" ? "0s" : value));
  } catch {
    throw new UsageError(
      `--${name} is a duration such as ${formatDuration(2 * HOUR + 30 * MINUTE)} or ${formatDuration(DAY)}, not ${JSON.stringify(value)}`,
    );
  }
}
