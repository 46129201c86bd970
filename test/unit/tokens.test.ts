import { expect, test } from "bun:test";
import { signingToken, tokenSecret } from "../../lib/cluster/tokens.ts";
import { defaultToken } from "../../lib/config/kinds/init.ts";

test("only signing tokens that have not expired sign", () => {
  const now = new Date("2026-11-24T00:00:00Z");
  const secret = (token: Parameters<typeof defaultToken>[0]) => tokenSecret(defaultToken(token), now) as never;
  const token = "abcdef.0123456789abcdef";
  expect(signingToken(secret({ token }), now)).toEqual({ id: "abcdef", secret: "0123456789abcdef" });
  expect(signingToken(secret({ token, ttl: "0s" }), now)).toBeDefined();
  expect(signingToken(secret({ token, usages: ["authentication"] }), now)).toBeUndefined();
  expect(signingToken(secret({ token, expires: "2026-11-23T00:00:00Z" }), now)).toBeUndefined();
  expect(signingToken({ type: "Opaque", data: {} }, now)).toBeUndefined();
});
