import { randomInt } from "node:crypto";
import { textsOf } from "../api/fields.ts";
import type { BootstrapToken } from "../config/kinds/init.ts";
import { NAMESPACE_SYSTEM, SECRET_TOKEN_PREFIX, SECRET_TOKEN_TYPE } from "../constants/names.ts";
import { TOKEN_PATTERN } from "../constants/tokens.ts";
import { parseDuration } from "../util/duration.ts";
import { toTime } from "../util/time.ts";

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

/** How to read a Secret's fields as text; one that is not there, or is no text, is empty. */
export function secretField(secret: { data?: unknown }): (name: string) => string {
  const data = textsOf(secret.data);
  return (name) => Buffer.from(data[name] ?? "", "base64").toString("utf8");
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** When a token expires (RFC 3339): undefined for never, an invalid date where the text is none, which counts as passed. */
export function expirationOf(text: string): Date | undefined {
  if (text === "") return undefined;
  return RFC3339.test(text) ? new Date(text) : new Date(Number.NaN);
}

/** The id and secret of a token's Secret when it may sign cluster-info now (usage set, not expired); else undefined. */
export function signingToken(
  secret: { type?: unknown; data?: unknown },
  now: Date,
): { id: string; secret: string } | undefined {
  const field = secretField(secret);
  if (secret.type !== SECRET_TOKEN_TYPE || field("usage-bootstrap-signing") !== "true") return undefined;
  const expires = expirationOf(field("expiration"));
  // A date that cannot be read counts as passed, as the API server's own authenticator has it.
  if (expires && !(expires > now)) return undefined;
  const token = `${field("token-id")}.${field("token-secret")}`;
  return TOKEN_PATTERN.test(token) ? splitToken(token) : undefined;
}
