import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { altNamesOf, isFor, missingNames } from "../../lib/pki/names.ts";
import { forged } from "../support/forge.ts";

const certificate = (content: { subject?: string; dns?: string[]; ip?: string[] }) =>
  new X509Certificate(forged(content).der);

describe("a certificate's names are compared as Go's VerifyHostname compares them", () => {
  // The table of Go's crypto/x509 tests (verify_test.go, TestMatchHostnames and hostname cases), and more of its kind.
  const table: [pattern: string, host: string, fits: boolean][] = [
    ["a.b.c", "a.b.c", true],
    ["a.b.c", "b.b.c", false],
    ["a.b.c", "b.c.d", false],
    ["*.b.c", "b.c", false],
    ["*.b.c", "a.b.c", true],
    ["*.b.c", "a.bxc", false],
    ["*.b.c", "x.a.b.c", false],
    ["*.b.c", "*.b.c", true],
    ["*", "localhost", false],
    ["*", "*", true],
    ["*.*.c", "a.b.c", false],
    ["a*.b.c", "ab.b.c", false],
    ["b.*", "b.c", false],
    ["A.b.C", "a.B.c", true],
    ["Node1", "node1", true],
    ["*.EXAMPLE.test", "api.example.test", true],
    ["a.b", "a.b.", true],
    ["a.b.", "a.b.", true],
    ["a.b.", "a.b", false],
    ["", "", false],
    [".", ".", false],
    ["a_b.c", "a_b.c", true],
    ["-a.b", "-a.b", true],
    ["*.-a.b", "x.-a.b", false],
    ["a b", "a b", true],
    ["a..b", "a..b", true],
    ["10.0.0.1", "10.0.0.1", false],
    // U+212A, the Kelvin sign, is lowered to k in Unicode, and is not k in a name.
    ["\u212A8s.test".replace("\u212A", "K"), "\u212A8s.test", false],
  ];
  for (const [pattern, host, fits] of table)
    test(`${JSON.stringify(pattern)} is ${fits ? "" : "not "}for ${JSON.stringify(host)}`, () =>
      expect(isFor(certificate({ dns: [pattern] }), host)).toBe(fits));

  test("addresses are addresses in every spelling, and never names", () => {
    const node = certificate({ ip: ["10.0.0.1", "fd00::1"], dns: ["10.0.0.9"] });
    expect(["10.0.0.1", "fd00::1", "fd00:0::0:1", "[fd00::1]", "FD00::1"].map((ip) => isFor(node, ip))).toEqual(
      Array(5).fill(true),
    );
    expect(["10.0.0.9", "10.0.0.2", "fd00::2", "10.0.0.01"].map((ip) => isFor(node, ip))).toEqual(Array(4).fill(false));
  });

  test("the common name is no name", () => {
    expect(isFor(certificate({ subject: "localhost" }), "localhost")).toBe(false);
  });

  test("a name that looks like two is one", () => {
    const odd = certificate({ dns: ["a.test, DNS:evil.test", "b.test\0.evil.test"] });
    expect(altNamesOf(odd).dnsNames).toEqual(["a.test, DNS:evil.test", "b.test\0.evil.test"]);
    for (const host of ["evil.test", "a.test", "b.test"]) expect(isFor(odd, host)).toBe(false);
  });

  test("what is missing is listed, wildcards asked for among it", () => {
    const api = certificate({ dns: ["*.example.test", "CP1"], ip: ["10.96.0.1"] });
    const wanted = {
      dnsNames: ["api.example.test", "*.example.test", "cp1", "cp2"],
      ipAddresses: ["10.96.0.1", "::1"],
    };
    expect(missingNames(api, wanted)).toEqual(["cp2", "::1"]);
  });
});
