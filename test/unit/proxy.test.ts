import { afterEach, beforeEach, expect, test } from "bun:test";
import { UsageError } from "../../lib/host/errors.ts";
import { proxyAgent } from "../../lib/host/proxy.ts";

const NAMES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"];
let before: Record<string, string | undefined>;
beforeEach(() => {
  before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));
  for (const name of NAMES) delete process.env[name];
});
afterEach(() => {
  for (const [name, value] of Object.entries(before))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
});

test("proxies are taken as curl takes them, and what is none is named without its value", async () => {
  for (const value of [
    "http://proxy.lan:3128",
    "proxy.lan:3128",
    "10.0.0.1:3128",
    "[fd00::1]:3128",
    "https://user:secret@proxy.lan/",
    "https://127.0.0.1:1/x?y#z",
    " http://proxy.lan ",
    "",
  ])
    for (const name of ["HTTP_PROXY", "https_proxy"]) {
      process.env[name] = value;
      await proxyAgent({ connections: 2 }).destroy();
      delete process.env[name];
    }
  for (const value of [
    "/etc/passwd",
    "socks5://user:secret@proxy.lan",
    "http://",
    "http:///x",
    "::1",
    "a b",
    "http://[",
  ])
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy"]) {
      process.env[name] = value;
      expect(() => proxyAgent()).toThrow(new UsageError(`${name} in the environment is no proxy's URL`));
      delete process.env[name];
    }
});
