import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ApiClient } from "../api/client.ts";
import { joinCommand } from "../bootstrap/join-command.ts";
import { publishedKubeconfig } from "../cluster/info.ts";
import {
  createToken as createInCluster,
  deleteToken as deleteInCluster,
  type ListedToken,
  listTokens as listInCluster,
  newToken,
  splitToken,
} from "../cluster/tokens.ts";
import type { BootstrapToken } from "../config/kinds/init.ts";
import { defaultToken } from "../config/kinds/init.ts";
import { parseFlags } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import { DAY, HOUR, MINUTE } from "../constants/durations.ts";
import { ADMIN_KUBECONFIG } from "../constants/paths.ts";
import { TOKEN_PATTERN, TOKEN_USAGES } from "../constants/tokens.ts";
import { KubestickError, reason, UsageError } from "../errors.ts";
import { readPlainText } from "../host/plain-file.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import type { Environment } from "../net/proxy.ts";
import { caPin } from "../pki/certificate.ts";
import { readCertificates } from "../pki/pem.ts";
import { formatDuration, parseDuration } from "../util/duration.ts";

/** Which cluster a command talks to. */
export interface ClusterOptions {
  /** A kubeconfig; without it the one that kubeadm would find: of KUBECONFIG's list, the user's own, the administrator's. */
  kubeconfig?: string;
  /** The variables KUBECONFIG and HOME; none without it. */
  environment?: Environment;
  /** How long a call is tried, in milliseconds. */
  callTimeoutMs?: number;
}

/** What new tokens are to be. */
export interface CreateTokensOptions extends ClusterOptions {
  /** The token itself; random without it. */
  token?: string;
  /** How many; 1 without it. */
  count?: number;
  /** How long they live, as Go writes durations (`24h0m0s`, which it is without it); `0s` is for ever. */
  ttl?: string;
  description?: string;
  /** `signing` and `authentication`; both without it. */
  usages?: string[];
  groups?: string[];
  /** Each is for one node, which deletes it when it has joined. */
  singleUse?: boolean;
  /** What the uploaded certificates are encrypted with: the commands then join control planes. */
  certificateKey?: string;
  /** What a fault calls the fields, by their path (`bootstrapTokens[0].ttl`); the paths themselves without it. */
  names?: Record<string, string>;
}

/** A token that was made, and the whole command that joins a node with it. */
export interface CreatedToken {
  token: string;
  joinCommand: string;
}

/** Uses the API of a cluster as its administrator, or whoever the kubeconfig is. Throws KubestickError. */
export async function withCluster<T>(options: ClusterOptions, use: (client: ApiClient) => Promise<T>): Promise<T> {
  const path = options.kubeconfig ?? usualKubeconfig(options.environment ?? {});
  const read = (file: string) => {
    try {
      return readPlainText(file);
    } catch (error) {
      throw new KubestickError(`cannot read ${file}: ${reason(error)}`, {
        hint: "run this on a control plane node as root, or name a kubeconfig with --kubeconfig",
        cause: error,
      });
    }
  };
  const client = new ApiClient(readKubeconfig(read(path), path, read), { callTimeoutMs: options.callTimeoutMs });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

function usualKubeconfig({ KUBECONFIG = "", HOME }: Environment): string {
  const listed = KUBECONFIG.split(delimiter).filter(Boolean);
  if (listed.length > 0) return listed.find((path) => existsSync(path)) ?? listed[0]!;
  const own = HOME ? join(HOME, ".kube/config") : undefined;
  return own && existsSync(own) ? own : ADMIN_KUBECONFIG;
}

/** Makes tokens that work at once. Throws ConfigError or UsageError for options that cannot be used, KubestickError for a token that is there. */
export async function createTokens(options: CreateTokensOptions): Promise<CreatedToken[]> {
  const { count = 1, certificateKey, singleUse = false } = options;
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`so many tokens cannot be made: ${count}`);
  if (options.token !== undefined && count > 1) throw new UsageError("one token was given, and several are asked for");
  const tokens = Array.from({ length: count }, () => checkedToken(options));
  return withCluster(options, async (client) => {
    const made: CreatedToken[] = [];
    for (const token of tokens) {
      await createInCluster(client, token, new Date(), { singleUse });
      const published = readKubeconfig(await publishedKubeconfig(client), "cluster-info", () => undefined);
      const pins = readCertificates(published.ca, "the CA of cluster-info").map(caPin);
      const command = joinCommand(published.server, token.token, pins);
      const more = certificateKey ? ` --control-plane --certificate-key ${certificateKey}` : "";
      made.push({ token: token.token, joinCommand: command + more });
    }
    return made;
  });
}

/** As createTokens, for one. */
export const createToken = async (options: Omit<CreateTokensOptions, "count"> = {}): Promise<CreatedToken> =>
  (await createTokens({ ...options, count: 1 }))[0]!;

function checkedToken(options: CreateTokensOptions): BootstrapToken {
  const { token: given, ttl, description, usages = [], groups = [], names = {} } = options;
  const token = defaultToken({
    token: given ?? newToken(),
    ...(ttl === undefined ? {} : { ttl: duration(ttl, names["bootstrapTokens[0].ttl"] ?? "ttl") }),
    ...(description === undefined ? {} : { description }),
    usages,
    groups,
  });
  const { problems } = parseFlags({ init: { bootstrapTokens: [token] }, flagOf: names });
  if (problems.length > 0) throw new ConfigError(problems);
  const usage = token.usages.find((name) => !(TOKEN_USAGES as readonly string[]).includes(name));
  if (usage !== undefined)
    throw new UsageError(
      `${names["bootstrapTokens[0].usages"] ?? "usages"} takes signing and authentication, not ${JSON.stringify(usage)}`,
    );
  return token;
}

/** A duration as Go prints it; a bare 0 is taken too. Throws UsageError that names what it is for. */
function duration(text: string, name: string): string {
  try {
    return formatDuration(parseDuration(text === "0" ? "0s" : text));
  } catch {
    throw new UsageError(
      `${name} is a duration such as ${formatDuration(2 * HOUR + 30 * MINUTE)} or ${formatDuration(DAY)}, not ${JSON.stringify(text)}`,
    );
  }
}

/** Every bootstrap token of a cluster, in order of their ids. Throws KubestickError. */
export const listTokens = (options: ClusterOptions = {}): Promise<ListedToken[]> => withCluster(options, listInCluster);

/**
 * Deletes tokens, by their ids or whole; gives the ids. `each` is told of each that is gone. Throws UsageError for what
 * is neither, KubestickError for one that is not there: those before it are gone then.
 */
export async function deleteTokens(
  names: string[],
  options: ClusterOptions & { each?: (id: string) => void } = {},
): Promise<string[]> {
  const ids = names.map(idOf);
  await withCluster(options, async (client) => {
    for (const id of ids) {
      if (!(await deleteInCluster(client, id, new Date())))
        throw new KubestickError(`there is no token with the id ${id}`, {
          hint: "kubestick token list shows those there are",
          code: "not-found",
        });
      options.each?.(id);
    }
  });
  return ids;
}

function idOf(name: string): string {
  if (TOKEN_PATTERN.test(name)) return splitToken(name).id;
  if (/^[a-z0-9]{6}$/.test(name)) return name;
  throw new UsageError(
    "a token is named by its id (six characters) or written whole",
    "kubestick token list shows them",
  );
}
