import { randomInt } from "node:crypto";
import { parseDuration, toTime } from "../config/schema.ts";
import type { BootstrapToken } from "../config/types.ts";
import { NAMESPACE_SYSTEM, SECRET_TOKEN_PREFIX, SECRET_TOKEN_TYPE } from "../constants/names.ts";
import { TOKEN_PATTERN } from "../constants/tokens.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** A new random bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`. */
export function newToken(): string {
  const characters = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
  return `${characters(6)}.${characters(16)}`;
}

/** A token's id and secret. Throws RangeError on another shape, without repeating the text. */
export function splitToken(token: string): { id: string; secret: string } {
  const match = TOKEN_PATTERN.exec(token);
  if (!match) throw new RangeError("not a bootstrap token: it must look like abcdef.0123456789abcdef");
  return { id: match[1]!, secret: match[2]! };
}

/** The Secret that makes a token work, in kube-system (kubeadm apis/bootstraptoken/v1 utils.go). */
export function tokenSecret(token: BootstrapToken, now: Date): Record<string, unknown> {
  const { id, secret } = splitToken(token.token);
  const ttl = token.ttl === undefined ? 0 : parseDuration(token.ttl);
  const expires = token.expires ?? (ttl > 0 ? new Date(now.getTime() + ttl) : undefined);
  const data: Record<string, string> = {
    ...(token.groups.length > 0 ? { "auth-extra-groups": token.groups.join(",") } : {}),
    ...(token.description ? { description: token.description } : {}),
    ...(expires ? { expiration: toTime(expires) } : {}),
    "token-id": id,
    "token-secret": secret,
  };
  for (const usage of token.usages) data[`usage-bootstrap-${usage}`] = "true";
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${SECRET_TOKEN_PREFIX}${id}`, namespace: NAMESPACE_SYSTEM },
    type: SECRET_TOKEN_TYPE,
    data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
  };
}

/** The id and secret of a token's Secret when it may sign cluster-info now (usage set, not expired); else undefined. */
export function signingToken(
  secret: { type?: string; data?: Record<string, string> },
  now: Date,
): { id: string; secret: string } | undefined {
  const field = (name: string) => Buffer.from(secret.data?.[name] ?? "", "base64").toString("utf8");
  if (secret.type !== SECRET_TOKEN_TYPE || field("usage-bootstrap-signing") !== "true") return undefined;
  const expiration = field("expiration");
  // A date that cannot be read counts as passed, as the API server's own authenticator has it.
  if (expiration !== "" && !(new Date(expiration).getTime() > now.getTime())) return undefined;
  const token = `${field("token-id")}.${field("token-secret")}`;
  return TOKEN_PATTERN.test(token) ? splitToken(token) : undefined;
}
