import { expect, test } from "bun:test";
import { signDetached, verifyDetached } from "../../lib/cluster/jws.ts";
import { newToken, splitToken } from "../../lib/cluster/tokens.ts";

test("a detached signature verifies only with its token and its content", () => {
  for (let i = 0; i < 200; i++) {
    const { id, secret } = splitToken(newToken());
    const jws = signDetached(`content ${i}`, id, secret);
    expect(jws.split(".")[1]).toBe("");
    expect(verifyDetached(jws, `content ${i}`, id, secret)).toBe(true);
    expect(verifyDetached(jws, `content ${i + 1}`, id, secret)).toBe(false);
    expect(verifyDetached(jws, `content ${i}`, "abcdef", secret)).toBe(false);
    expect(verifyDetached(jws, `content ${i}`, id, splitToken(newToken()).secret)).toBe(false);
    const at = (i * 7) % jws.length;
    const changed = `${jws.slice(0, at)}${jws[at] === "A" ? "B" : "A"}${jws.slice(at + 1)}`;
    // The last character of a signature has bits that decode to nothing; compared as text they count all the same.
    expect(verifyDetached(changed, `content ${i}`, id, secret)).toBe(false);
  }
});

test("a header that says alg none is refused", () => {
  const header = Buffer.from('{"alg":"none","kid":"abcdef"}').toString("base64url");
  expect(verifyDetached(`${header}..`, "x", "abcdef", "0123456789abcdef")).toBe(false);
  for (const text of ["", "..", "a.b.c", "e30..", "!!..!!"])
    expect(verifyDetached(text, "x", "abcdef", "0123456789abcdef")).toBe(false);
});
