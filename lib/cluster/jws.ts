import { createHmac, timingSafeEqual } from "node:crypto";

const base64url = (data: string | Buffer) => Buffer.from(data).toString("base64url");

/**
 * The detached-content JWS of cluster-info: `header..signature`, HS256 with the token's secret, `kid` the token's id
 * (RFC 7515 appendix F; k8s.io/cluster-bootstrap token/jws).
 */
export function signDetached(content: string, tokenId: string, tokenSecret: string): string {
  const header = base64url(JSON.stringify({ alg: "HS256", kid: tokenId }));
  return `${header}..${signature(header, content, tokenSecret)}`;
}

/** Whether a detached JWS signs this content with this token; compared in constant time. */
export function verifyDetached(jws: string, content: string, tokenId: string, tokenSecret: string): boolean {
  const parts = jws.split(".");
  if (parts.length !== 3 || parts[1] !== "") return false;
  const [header = "", , given = ""] = parts;
  try {
    const { alg, kid } = JSON.parse(Buffer.from(header, "base64url").toString("utf8")) as Record<string, unknown>;
    if (alg !== "HS256" || kid !== tokenId) return false;
  } catch {
    return false;
  }
  const expected = Buffer.from(signature(header, content, tokenSecret));
  const actual = Buffer.from(given);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

function signature(header: string, content: string, secret: string): string {
  return createHmac("sha256", secret)
    .update(`${header}.${base64url(content)}`)
    .digest("base64url");
}
