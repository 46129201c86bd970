import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { renderUnicodeCompact } from "uqr";
import { ApiClient } from "../lib/api/client.ts";
import { joinCommand } from "../lib/bootstrap/join-command.ts";
import { publishedKubeconfig } from "../lib/cluster/info.ts";
import { createToken, deleteToken, type ListedToken, listTokens, newToken, splitToken } from "../lib/cluster/tokens.ts";
import type { BootstrapToken } from "../lib/config/kinds/init.ts";
import { defaultToken } from "../lib/config/kinds/init.ts";
import { parseFlags } from "../lib/config/load.ts";
import { ConfigError } from "../lib/config/problems.ts";
import { ADMIN_KUBECONFIG } from "../lib/constants/paths.ts";
import { TOKEN_PATTERN } from "../lib/constants/tokens.ts";
import { KubestickError, reason, UsageError } from "../lib/errors.ts";
import { readPlainText } from "../lib/host/plain-file.ts";
import { readKubeconfig } from "../lib/kubeconfig/kubeconfig.ts";
import { caPin } from "../lib/pki/certificate.ts";
import { readCertificates } from "../lib/pki/pem.ts";
import { formatTable } from "../lib/ui/table.ts";
import { printJson, printText } from "../lib/ui/ui.ts";
import { formatDuration } from "../lib/util/duration.ts";
import { type Flag, GLOBAL_FLAGS, listValue } from "./flags.ts";
import { durationFlag } from "./init-flags.ts";

type Given = Map<string, string>;

/** Flags of every `token` command that talks to the cluster. */
export const TOKEN_FLAGS: Flag[] = [
  {
    name: "kubeconfig",
    description: `The kubeconfig file to use when talking to the cluster (default ${ADMIN_KUBECONFIG}).`,
    valueHint: "file",
  },
  ...GLOBAL_FLAGS,
];

/** Flags of `token create`; names, meanings and defaults are kubeadm's. */
export const TOKEN_CREATE_FLAGS: Flag[] = [
  {
    name: "certificate-key",
    description:
      "With --print-join-command, print the command that joins a control plane; the key that init --upload-certs printed.",
    valueHint: "key",
  },
  { name: "count", description: "How many tokens to make: one slip each for a classroom.", valueHint: "number" },
  { name: "description", description: "A human friendly description of how this token is used.", valueHint: "text" },
  {
    name: "groups",
    description: "Extra groups that this token will authenticate as.",
    valueHint: "groups",
    list: true,
  },
  {
    name: "print-join-command",
    description: "Instead of printing only the token, print the full join command.",
    type: "boolean",
  },
  { name: "qr", description: "Print each join command as a QR code too.", type: "boolean" },
  {
    name: "single-use",
    description: "Each token is for one node: the node that joins with it deletes it. Implied by --count.",
    type: "boolean",
  },
  {
    name: "ttl",
    description: "The duration before the token is deleted (e.g. 1s, 2m, 3h). '0' never expires (default 24h0m0s).",
    valueHint: "duration",
  },
  {
    name: "usages",
    description: "The ways in which this token can be used: signing, authentication.",
    valueHint: "usages",
    list: true,
  },
  ...TOKEN_FLAGS,
];

/** `token generate`: prints a new random token and does nothing else. */
export function generateTokenCommand(given: Given): void {
  const token = newToken();
  if (given.get("output") === "json") printJson({ token });
  else printText(token);
}

const MAX_COUNT = 1000;

/** `token create [token]`: makes tokens that work at once. */
export async function createTokenCommand(given: Given, [text]: string[]): Promise<void> {
  const count = given.has("count") ? Number(given.get("count")) : 1;
  if (!Number.isInteger(count) || count < 1 || count > MAX_COUNT)
    throw new UsageError(`--count is a number from 1 to ${MAX_COUNT}, not ${JSON.stringify(given.get("count"))}`);
  if (text !== undefined && count > 1)
    throw new UsageError("a token was given, and --count asks for several", "leave one of the two out");
  const key = given.get("certificate-key");
  if (key !== undefined && !/^[0-9a-f]{64}$/i.test(key))
    throw new UsageError("--certificate-key is 64 hexadecimal digits", "init --upload-certs prints it");
  const tokens = Array.from({ length: count }, () => checkedToken(given, text ?? newToken()));
  const singleUse = given.get("single-use") === "true" || given.has("count");
  await withCluster(given, async (client) => {
    const slips: Slip[] = [];
    for (const token of tokens) {
      await createToken(client, token, new Date(), { singleUse });
      const command = await joinCommandFor(client, token.token);
      slips.push({
        token: token.token,
        joinCommand: key ? `${command} --control-plane --certificate-key ${key}` : command,
      });
    }
    if (given.get("output") === "json") printJson(slips.length === 1 ? slips[0] : slips);
    else printText(sheet(slips, given));
  });
}

interface Slip {
  token: string;
  joinCommand: string;
}

/** The tokens or commands as text: one a line, or with QR codes one a paragraph, to be cut into slips. */
function sheet(slips: Slip[], given: Given): string {
  const qr = given.get("qr") === "true";
  const whole = qr || given.get("print-join-command") === "true";
  const lines = slips.map((slip) => (whole ? slip.joinCommand : slip.token));
  return qr
    ? lines.map((line) => `${line}\n${renderUnicodeCompact(line, { ecc: "L", border: 2 })}\n`).join("\n")
    : lines.join("\n");
}

function checkedToken(given: Given, text: string): BootstrapToken {
  const ttl = given.get("ttl");
  const token = defaultToken({
    token: text,
    ...(ttl === undefined ? {} : { ttl: durationFlag("ttl", ttl) }),
    ...(given.has("description") ? { description: given.get("description") } : {}),
    usages: listValue(given, "usages"),
    groups: listValue(given, "groups"),
  });
  const flagOf = {
    "bootstrapTokens[0].token": "token",
    "bootstrapTokens[0].ttl": "--ttl",
    "bootstrapTokens[0].groups": "--groups",
  };
  const { problems } = parseFlags({ init: { bootstrapTokens: [token] }, flagOf });
  if (problems.length > 0) throw new ConfigError(problems);
  const usage = token.usages.find((u) => u !== "signing" && u !== "authentication");
  if (usage !== undefined)
    throw new UsageError(`--usages takes signing and authentication, not ${JSON.stringify(usage)}`);
  return token;
}

/** `token list`: a table, or JSON. */
export async function listTokensCommand(given: Given): Promise<void> {
  await withCluster(given, async (client) => {
    const tokens = await listTokens(client);
    const now = new Date();
    if (given.get("output") === "json") printJson(tokens.map((t) => ({ ...t, ttl: timeLeft(t, now) })));
    else printText(table(tokens, now));
  });
}

/** `token delete TOKEN...`: by id or whole token. */
export async function deleteTokensCommand(given: Given, names: string[]): Promise<void> {
  const ids = names.map((name) => {
    if (TOKEN_PATTERN.test(name)) return splitToken(name).id;
    if (/^[a-z0-9]{6}$/.test(name)) return name;
    throw new UsageError(
      "a token is named by its id (six characters) or written whole",
      "kubestick token list shows them",
    );
  });
  if (ids.length === 0) throw new UsageError("which token?", "kubestick token list shows them");
  const json = given.get("output") === "json";
  await withCluster(given, async (client) => {
    for (const id of ids) {
      if (!(await deleteToken(client, id, new Date()))) {
        throw new KubestickError(`there is no token with the id ${id}`, {
          hint: "kubestick token list shows those there are",
        });
      }
      if (!json) printText(`bootstrap token "${id}" deleted`);
    }
    if (json) printJson({ command: "token delete", deleted: ids });
  });
}

async function withCluster(given: Given, use: (client: ApiClient) => Promise<void>): Promise<void> {
  const path = given.get("kubeconfig") ?? defaultKubeconfig(process.env);
  const read = (file: string) => {
    try {
      return readPlainText(file);
    } catch (error) {
      throw new KubestickError(`cannot read ${file}: ${reason(error)}`, {
        hint: "run this on a control plane node as root, or name a kubeconfig with --kubeconfig",
      });
    }
  };
  const client = new ApiClient(readKubeconfig(read(path), path, read));
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** The kubeconfig where none is named, found as kubeadm finds it: of KUBECONFIG's list, the user's own, the administrator's. */
function defaultKubeconfig({ KUBECONFIG = "", HOME = homedir() }: NodeJS.ProcessEnv): string {
  const listed = KUBECONFIG.split(delimiter).filter(Boolean);
  if (listed.length > 0) return listed.find((path) => existsSync(path)) ?? listed[0]!;
  const own = join(HOME, ".kube/config");
  return existsSync(own) ? own : ADMIN_KUBECONFIG;
}

async function joinCommandFor(client: ApiClient, token: string): Promise<string> {
  const published = readKubeconfig(await publishedKubeconfig(client), "cluster-info", () => undefined);
  return joinCommand(published.server, token, readCertificates(published.ca, "the CA of cluster-info").map(caPin));
}

function timeLeft({ expires }: ListedToken, now: Date): string {
  if (!expires) return "<forever>";
  const left = Math.round((expires.getTime() - now.getTime()) / 1000) * 1000;
  return left > 0 ? formatDuration(left) : "<invalid>";
}

function expiry({ expires }: ListedToken): string {
  if (!expires) return "<never>";
  return Number.isNaN(expires.getTime()) ? "<invalid>" : expires.toISOString().replace(/\.\d+Z$/, "Z");
}

function table(tokens: ListedToken[], now: Date): string {
  const rows = [
    ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"],
    ...tokens.map((t) => [
      t.token,
      timeLeft(t, now),
      expiry(t),
      t.usages.join(",") || "<none>",
      t.description || "<none>",
      t.groups.join(",") || "<none>",
    ]),
  ];
  return formatTable(rows);
}
