import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as http from "node:http";
import * as https from "node:https";
import { type AddressInfo, connect } from "node:net";
import { request } from "undici/index.js";
import { KubestickError, UsageError } from "../../lib/errors.ts";
import { environmentAgent, proxyFor } from "../../lib/net/proxy.ts";
import { proxiedAddresses, proxiedNetworks } from "../../lib/preflight/proxy.ts";
import { forged } from "../support/forge.ts";

const PROXY = "http://proxy.example.test:3128";
const through = (url: string, environment: Record<string, string>) => proxyFor(new URL(url), environment)?.href;

describe("the proxy for a URL is the one that Go's programs take", () => {
  test("by scheme; the capital name first; host:port is http; user and password are kept", () => {
    expect(through("https://a.test/", { HTTPS_PROXY: PROXY, HTTP_PROXY: "http://other:1" })).toBe(`${PROXY}/`);
    expect(through("http://a.test/", { HTTPS_PROXY: PROXY })).toBeUndefined();
    // Go does not fall back to the plain one's proxy for https.
    expect(through("https://a.test/", { HTTP_PROXY: PROXY })).toBeUndefined();
    expect(through("http://a.test/", { http_proxy: PROXY })).toBe(`${PROXY}/`);
    expect(through("https://a.test/", { HTTPS_PROXY: PROXY, https_proxy: "http://other:1" })).toBe(`${PROXY}/`);
    expect(through("https://a.test/", { HTTPS_PROXY: "", https_proxy: PROXY })).toBe(`${PROXY}/`);
    for (const text of [
      "proxy.example.test:3128",
      "10.0.0.1:3128",
      "localhost:3128",
      "u:p@proxy:3128",
      "proxy",
      "[fd00::1]:3128",
    ])
      expect(through("https://a.test/", { HTTPS_PROXY: text })).toBe(new URL(`http://${text}`).href);
    expect(through("https://a.test/", { HTTPS_PROXY: "https://proxy:8443" })).toBe("https://proxy:8443/");
  });

  test("what is no HTTP proxy is an error that names the variable, not its password, and only where it would be used", () => {
    for (const text of ["socks5://u:secret@p:1", "http://", "http://u:secret@a b", "://", "ftp://u:secret@x"]) {
      const environment = { HTTPS_PROXY: text, NO_PROXY: "direct.test" };
      let thrown: unknown;
      try {
        through("https://a.test/", environment);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(UsageError);
      expect((thrown as Error).message).toStartWith("HTTPS_PROXY is not the URL of an HTTP proxy");
      expect((thrown as Error).message).not.toContain("secret");
      expect(through("https://direct.test/", environment)).toBeUndefined();
      expect(through("http://a.test/", environment)).toBeUndefined();
    }
  });

  test("loopback is never asked through a proxy", () => {
    for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "127.1"])
      expect(through(`http://${host}:5000/`, { HTTP_PROXY: PROXY })).toBeUndefined();
    expect(through("http://localhost.test/", { HTTP_PROXY: PROXY })).toBeDefined();
    expect(through("http://128.0.0.1/", { HTTP_PROXY: PROXY })).toBeDefined();
  });

  // [NO_PROXY, URLs asked directly, URLs asked through the proxy]
  const table: [string, string[], string[]][] = [
    ["*", ["https://a.test/", "https://10.0.0.1/"], []],
    ["a.test,*", ["https://b.test/"], []],
    ["10.0.0.0/8", ["https://10.255.0.1/", "https://10.0.0.1:6443/"], ["https://11.0.0.1/", "https://10.test/"]],
    ["fd00::/8", ["https://[fd00::1]/"], ["https://[fe80::1]/", "https://10.0.0.1/"]],
    ["10.0.0.1", ["https://10.0.0.1/", "https://10.0.0.1:6443/"], ["https://10.0.0.2/", "https://10.0.0.11/"]],
    ["10.0.0.1:6443", ["https://10.0.0.1:6443/"], ["https://10.0.0.1/"]],
    ["[fd00::1]:443", ["https://[fd00::1]/"], ["https://[fd00::1]:6443/"]],
    [
      "example.test",
      ["https://example.test/", "https://a.b.example.test/", "https://EXAMPLE.test/"],
      ["https://badexample.test/", "https://example.test.org/"],
    ],
    [".example.test", ["https://a.example.test/"], ["https://example.test/"]],
    ["*.example.test", ["https://a.example.test/"], ["https://example.test/"]],
    ["example.test:8443", ["https://example.test:8443/", "https://a.example.test:8443/"], ["https://example.test/"]],
    [" A.test , 192.168.0.0/16 ", ["https://a.test/", "https://192.168.3.4/"], ["https://b.test/"]],
    [",,", [], ["https://a.test/"]],
    [".", [], ["https://a.test/"]],
    ["10.0.0.0/33", [], ["https://10.0.0.1/"]],
  ];
  for (const [NO_PROXY, direct, proxied] of table)
    test(`NO_PROXY=${NO_PROXY}`, () => {
      for (const name of ["NO_PROXY", "no_proxy"]) {
        const environment = { HTTPS_PROXY: PROXY, [name]: NO_PROXY };
        expect(direct.map((url) => through(url, environment))).toEqual(direct.map(() => undefined));
        expect(proxied.map((url) => through(url, environment))).toEqual(proxied.map(() => `${PROXY}/`));
      }
    });
});

test("preflight warns of what is the cluster's own and would be asked through a proxy", () => {
  const environment = { HTTPS_PROXY: "http://u:secret@proxy.test:3128", NO_PROXY: "10.96.0.0/12" };
  const said = (findings: { level: string; message: string; fix?: string }[]) =>
    findings.map(({ level, message, fix }) => [level, message.slice(0, 54), fix]);
  const fix = (what: string) => `put it into NO_PROXY, as a network: NO_PROXY=10.96.0.0/12,${what}`;
  expect(said(proxiedAddresses(["192.168.7.11", "fd00::11"], environment))).toEqual([
    ["warning", "connections to 192.168.7.11 go through the proxy proxy", fix("192.168.7.11")],
  ]);
  expect(said(proxiedNetworks("10.96.0.0/12", environment))).toEqual([]);
  expect(said(proxiedNetworks("10.244.0.0/16,fd00::/56", environment))).toEqual([
    ["warning", "connections to 10.244.0.0/16 go through the proxy prox", fix("10.244.0.0/16")],
    ["warning", "connections to fd00::/56 go through the proxy proxy.te", fix("fd00::/56")],
  ]);
  expect(proxiedAddresses(["127.0.0.1"], environment)).toEqual([]);
  expect(proxiedAddresses(["192.168.7.11"], {})).toEqual([]);
  expect(proxiedAddresses(["192.168.7.11"], { HTTPS_PROXY: "socks5://p:1" })).toEqual([
    { level: "warning", message: expect.stringContaining("HTTPS_PROXY is not the URL"), fix: expect.any(String) },
  ]);
});

describe("a dispatcher that goes by the environment", () => {
  const ca = forged({ subject: "r", basic: { ca: true }, keyUsage: 6 });
  const leaf = forged({ dns: ["inside.example.test"], ip: ["127.0.0.1"], extKeyUsage: ["server"] }, ca);
  const seen: string[] = [];
  const origin = https.createServer({ cert: leaf.cert, key: leaf.keyPem }, (_q, r) => r.end("the origin"));
  const proxy = http.createServer((q, r) => {
    seen.push(`${q.method} ${q.url}`);
    r.end("the proxy");
  });
  proxy.on("connect", (q, socket) => {
    seen.push(`CONNECT ${q.url} ${q.headers["proxy-authorization"]}`);
    const behind = connect((origin.address() as AddressInfo).port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 connected\r\n\r\n");
      behind.pipe(socket).pipe(behind);
    });
    socket.on("error", () => behind.destroy());
  });
  beforeAll(async () => {
    for (const server of [origin, proxy]) await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  });
  afterAll(() => {
    for (const server of [origin, proxy]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const port = (server: http.Server | https.Server) => (server.address() as AddressInfo).port;
  async function get(url: string, environment: Record<string, string>): Promise<string> {
    const dispatcher = environmentAgent({ ca: [ca.cert] }, environment);
    try {
      return await (await request(url, { dispatcher })).body.text();
    } finally {
      await dispatcher.destroy();
    }
  }

  test("tunnels https, forwards http, and leaves loopback alone", async () => {
    const address = `127.0.0.1:${port(proxy)}`;
    expect(await get("https://inside.example.test/x", { HTTPS_PROXY: `u:p@${address}` })).toBe("the origin");
    expect(await get("http://inside.example.test/x", { HTTP_PROXY: address })).toBe("the proxy");
    expect(seen.splice(0)).toEqual(["CONNECT inside.example.test:443 Basic dTpw", "GET http://inside.example.test/x"]);
    expect(await get(`https://127.0.0.1:${port(origin)}/`, { HTTPS_PROXY: address })).toBe("the origin");
    expect(seen).toEqual([]);
  });

  test("checks the server behind the tunnel, and says what is wrong with the variable", async () => {
    const environment = { HTTPS_PROXY: `127.0.0.1:${port(proxy)}` };
    await expect(get("https://other.example.test/", environment)).rejects.toThrow("does not match certificate");
    await expect(get("https://other.example.test/", { HTTPS_PROXY: "socks5://p:1" })).rejects.toThrow(KubestickError);
  });
});
