import { afterAll, afterEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import type { Downloader, Get } from "../../lib/net/download.ts";
import { HttpError } from "../../lib/net/failures.ts";
import { RegistryCredentials } from "../../lib/oci/credentials.ts";
import { LIMITS } from "../../lib/oci/limits.ts";
import { parseMirrors } from "../../lib/oci/mirrors.ts";
import { Registry } from "../../lib/oci/registry.ts";
import { kubestickHere } from "../support/here.ts";
import { forPlatform, LayoutMaker, type Listed } from "../support/layouts.ts";
import { type Asking, RegistryDouble } from "../support/registry-double.ts";
import { smallBundle } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-registries-");
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));
smallBundle(at("small.tar"));

const doubles: RegistryDouble[] = [];
afterEach(async () => {
  for (const double of doubles.splice(0)) await double.stop();
});

/** A registry with `team/app:1` for both architectures. */
function registry(asking: Asking = "nothing"): RegistryDouble & { index: Listed } {
  const maker = new LayoutMaker();
  const index = maker.index([
    forPlatform(maker.image(), "amd64"),
    forPlatform(maker.image({ arch: "arm64" }), "arm64"),
  ]);
  const double = Object.assign(new RegistryDouble(maker, asking), { index });
  double.tags["team/app:1"] = index;
  doubles.push(double);
  return double;
}

/** `bundle create` with an image out of a registry; the bundle besides is there so that no lock is needed. */
function pull(mirror: string, config: unknown, image = "docker.io/team/app:1") {
  const file = at("config.json");
  fs.writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  const args = ["--from", at("small.tar"), "--arch", "amd64", "--image", image];
  return kubestickHere(
    "bundle",
    "create",
    at("out.tar"),
    ...args,
    "--registry-config",
    file,
    "--registry-mirror",
    mirror,
  );
}

const AUTH = Buffer.from("u:p").toString("base64");
const DEFECT = /bug in kubestick|\n\s+at /;

describe("credentials", () => {
  test.each(["basic", "bearer"] as const)(
    "of Docker Hub are found under the name that docker login writes down (%s)",
    async (asking) => {
      for (const key of [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
        "registry-1.docker.io",
        "https://docker.io",
      ]) {
        const double = registry(asking);
        const out = await pull(`docker.io=${double.url}`, { auths: { [key]: { auth: AUTH } } });
        expect([key, out.status, out.stderr]).toEqual([key, 0, ""]);
        expect(new Set(double.authorizations)).toEqual(
          new Set([`Basic ${AUTH}`, ...(asking === "bearer" ? ["Bearer good"] : [])]),
        );
      }
    },
  );

  test("what is no login counts as none, and the registry's question is passed on", async () => {
    for (const config of [
      { auths: { "registry.example.test": null } },
      { auths: { "docker.io": null } },
      { auths: { "docker.io": 5 } },
      { auths: { "docker.io": {} } },
      { auths: { "docker.io": { auth: 5 } } },
      { auths: { "docker.io": { auth: "%%%" } } },
      { auths: { "docker.io": { auth: "dTo=" } } },
      { auths: null },
      {},
    ]) {
      const double = registry("basic");
      const out = await pull(`docker.io=${double.url}`, config);
      expect([out.status, out.stderr]).toEqual([1, expect.stringContaining("it wants a user and a password")]);
      expect([out.stderr, double.authorizations]).toEqual([expect.not.stringMatching(DEFECT), []]);
    }
  });

  test("a file that is none is refused at once, with its name", async () => {
    for (const config of [
      "",
      "[]",
      "null",
      "5",
      '{"auths":[]}',
      '{"auths":"x"}',
      "\0".repeat(100),
      `${"[".repeat(100_000)}`,
    ]) {
      const out = await pull("docker.io=http://127.0.0.1:9", config);
      expect([out.status, out.stderr]).toEqual([1, expect.stringContaining(at("config.json"))]);
      expect(out.stderr).not.toMatch(DEFECT);
    }
  });

  test("are found by the longest path, under a user's name and password, and a helper is said", () => {
    const basic = (pair: string) => ({ basic: Buffer.from(pair).toString("base64") });
    const credentials = new RegistryCredentials().add(
      JSON.stringify({
        auths: {
          "https://quay.io": { auth: basic("all:1").basic },
          "quay.io/team": { username: "team", password: "p:2" },
          "quay.io/team/app/": { auth: basic("app:3").basic },
          "registry.example.org:5000": { auth: basic("port:4").basic },
          "azurecr.example": { auth: basic("00000000-0000-0000-0000-000000000000:").basic, identitytoken: "x" },
        },
        credsStore: "desktop",
      }),
      "f",
    );
    expect(credentials.find("quay.io", "other/x")).toEqual(basic("all:1"));
    expect(credentials.find("QUAY.io", "team/x")).toEqual(basic("team:p:2"));
    expect(credentials.find("quay.io", "team/app")).toEqual(basic("app:3"));
    expect(credentials.find("quay.io", "teams/app")).toEqual(basic("all:1"));
    expect(credentials.find("registry.example.org:5000", "x")).toEqual(basic("port:4"));
    expect(credentials.find("registry.example.org", "x")).toBeUndefined();
    expect(credentials.find("azurecr.example", "x")).toBeUndefined();
    expect(credentials.elsewhere("azurecr.example")).toContain("identity token");
    expect(credentials.elsewhere("other.example")).toContain("docker-credential-desktop");
    // What an earlier file says stays.
    credentials.add(JSON.stringify({ auths: { "quay.io": { auth: basic("late:9").basic } } }), "g");
    expect(credentials.find("quay.io", "x")).toEqual(basic("all:1"));
  });

  /** Asks a registry that is not there; gives what would have been sent to which address. */
  async function sent(mirrors: string[], auths: Record<string, string>, challenge = 'Basic realm="x"') {
    const asked: Get[] = [];
    const downloader = {
      bytes: async (get: Get) => {
        asked.push(get);
        if (get.url.includes("/token")) return { data: Buffer.from('{"token":"t"}'), headers: {} };
        throw new HttpError(get.url, 401, { "www-authenticate": challenge });
      },
    } as unknown as Downloader;
    const entries = Object.entries(auths).map(([host, pair]) => [host, { auth: Buffer.from(pair).toString("base64") }]);
    const credentials = new RegistryCredentials().add(JSON.stringify({ auths: Object.fromEntries(entries) }), "f");
    const registry = new Registry(downloader, { mirrors: parseMirrors(mirrors), credentials: () => credentials });
    const error = await registry.manifest("docker.io/team/app:1").then(
      () => undefined,
      (e: HttpError) => e,
    );
    const secrets = asked.flatMap(({ url, headers = {} }) =>
      headers["authorization"]?.startsWith("Basic ")
        ? [`${Buffer.from(headers["authorization"].slice(6), "base64").toString()} to ${new URL(url).origin}`]
        : [],
    );
    return { secrets, hint: error?.hint };
  }

  test("of a registry are not sent to a mirror, except under the mirror's own name, and never over plain HTTP", async () => {
    const hub = { "https://index.docker.io/v1/": "hub:secret" };
    expect((await sent([], hub)).secrets).toEqual(["hub:secret to https://registry-1.docker.io"]);
    expect(await sent(["docker.io=https://mirror.example"], hub)).toEqual({
      secrets: [],
      hint: "the credentials of docker.io are not sent to its mirror; add some for mirror.example to the file of --registry-config",
    });
    expect((await sent(["https://mirror.example/hub"], hub)).secrets).toEqual([]);
    const both = { ...hub, "mirror.example": "mirror:own" };
    expect((await sent(["https://mirror.example/hub"], both)).secrets).toEqual([
      "mirror:own to https://mirror.example",
    ]);
    const paths = { "mirror.example/hub": "path:own", "mirror.example/other": "no" };
    expect((await sent(["https://mirror.example/hub"], paths)).secrets).toEqual(["path:own to https://mirror.example"]);
    expect((await sent(["https://mirror.example"], { "mirror.example/team": "team:own" })).secrets).toEqual([
      "team:own to https://mirror.example",
    ]);
    expect(await sent(["http://mirror.example"], both)).toEqual({
      secrets: [],
      hint: "credentials are never sent over plain HTTP; reach it by HTTPS",
    });
    expect((await sent(["http://[::1]:5000"], hub)).secrets).toEqual(["hub:secret to http://[::1]:5000"]);
  });

  test("are sent to the place that gives tokens by HTTPS alone", async () => {
    const hub = { "docker.io": "hub:secret" };
    const bearer = (realm: string) => `Bearer realm="${realm}",service="s"`;
    expect((await sent([], hub, bearer("https://auth.example/token"))).secrets).toEqual([
      "hub:secret to https://auth.example",
    ]);
    expect((await sent([], hub, bearer("http://auth.example/token"))).secrets).toEqual([]);
    expect((await sent([], hub, bearer("http://127.0.0.1:1/token"))).secrets).toEqual([]);
    expect((await sent([], hub, `Basic realm="x", ${bearer("https://auth.example/token")}`)).secrets).toEqual([
      "hub:secret to https://auth.example",
    ]);
    expect((await sent([], hub, bearer("http://["))).hint).toBe("is that a registry?");
    expect((await sent([], hub, "Negotiate")).hint).toBe("is that a registry?");
  });
});

describe("answers", () => {
  const json = (value: unknown, type: string) =>
    new Response(typeof value === "string" ? value : JSON.stringify(value), { headers: { "content-type": type } });
  const OCI = "application/vnd.oci.image.index.v1+json";

  test.each<[string, (double: RegistryDouble) => Response, RegExp]>([
    [
      "a login page",
      () => json("<html>please log in</html>", "text/html"),
      /sent as the manifest of docker\.io\/team\/app:1 \(text\/html\) is not JSON/,
    ],
    [
      "another kind of JSON",
      () => json({}, "application/json"),
      /is of the media type application\/json, which is no image/,
    ],
    [
      "schema 1",
      () => json({ schemaVersion: 1 }, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
      /Docker's old format \(schema 1\)/,
    ],
    [
      "more than a manifest may have",
      () => json(" ".repeat(LIMITS.jsonBytes + 1), OCI),
      /answers with more than the 4194304 bytes that it may/,
    ],
    [
      "JSON nested without end",
      () => json(`{"manifests":${"[".repeat(1_000_000)}`, OCI),
      /is nested deeper than 64 levels/,
    ],
    [
      "more values than a manifest may have",
      () => json({ manifests: Array(300_000).fill(0) }, OCI),
      /has more than 100000 values/,
    ],
    ["manifests that are none", () => json({ manifests: [1, null] }, OCI), /is not a list of objects/],
    [
      "a negative length",
      () => json({ manifests: [{ mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: -1 }] }, OCI),
      /has a bad size/,
    ],
    [
      "a redirect to nowhere",
      () => new Response("", { status: 302, headers: { location: "http://[" } }),
      /which is no address of the web/,
    ],
    [
      "a redirect to a file",
      () => new Response("", { status: 302, headers: { location: "file:///etc/passwd" } }),
      /which is no address of the web/,
    ],
  ])("%s are what they are said to be, and are not asked for again", async (_, answer, message) => {
    const double = registry();
    let asked = 0;
    double.instead = (path) => {
      if (!path.includes("/manifests/")) return undefined;
      asked++;
      return answer(double);
    };
    const out = await pull(`docker.io=${double.url}`, {});
    expect([out.status, out.stderr]).toEqual([1, expect.stringMatching(message)]);
    expect([out.stderr, asked]).toEqual([expect.not.stringMatching(DEFECT), 1]);
  });

  test.each<[string, string, RegExp]>([
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", /does not answer in HTTP as it should/],
    ["headers without end", `HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(50_000)}`, /does not answer in HTTP as it should/],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", /does not answer in HTTP as it should/],
    [
      "broken chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      /does not answer in HTTP as it should/,
    ],
  ])("a server that answers with %s is said to do so, at once", async (_, bytes, message) => {
    const server = await new Promise<Server>((resolve) => {
      const made = createServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => socket.end(bytes));
      });
      made.listen(0, "127.0.0.1", () => resolve(made));
    });
    let connections = 0;
    server.on("connection", () => connections++);
    try {
      const out = await pull(`docker.io=http://127.0.0.1:${(server.address() as { port: number }).port}`, {});
      expect([out.status, out.stderr, connections]).toEqual([1, expect.stringMatching(message), 1]);
    } finally {
      server.close();
    }
  });

  test("a layer of more bytes than its manifest says is not written on, and one of fewer is asked for again", async () => {
    const double = registry();
    const layer = [...double.maker.blobs].find(([, data]) => data[0] === 0x1f)![0];
    double.instead = (path) => (path.endsWith(layer) ? new Response("x".repeat(1_000_000)) : undefined);
    const out = await pull(`docker.io=${double.url}`, {});
    expect([out.status, out.stderr]).toEqual([1, expect.stringMatching(/sends more than the \d+ bytes that it may/)]);
    const partial = at(".out.tar.blobs/partial");
    expect(
      fs
        .readdirSync(partial)
        .map((name) => fs.statSync(join(partial, name)).size)
        .filter((size) => size > 10_000),
    ).toEqual([]);
    double.instead = () => undefined;
    expect(await pull(`docker.io=${double.url}`, {})).toMatchObject({ status: 0 });
  });
});

describe("an image that is asked for by a tag and the digest of its index", () => {
  test("is there under the digest, with the index beside it", async () => {
    const double = registry();
    const out = await pull(`docker.io=${double.url}`, {}, `docker.io/team/app:1@${double.index.digest}`);
    expect([out.status, out.stderr]).toEqual([0, ""]);
    const bundle = Bundle.open(at("out.tar"));
    const image = bundle.images.find(({ name }) => name === `docker.io/team/app@${double.index.digest}`);
    expect(image?.indexes).toEqual([double.index]);
    bundle.close();
  });

  test("is there from a mirror that lost the index, too", async () => {
    const double = registry();
    let asked = 0;
    double.instead = (path) =>
      path.endsWith(double.index.digest) && asked++ > 0 ? new Response("", { status: 404 }) : undefined;
    const out = await pull(`docker.io=${double.url}`, {}, `docker.io/team/app:1@${double.index.digest}`);
    expect([out.status, out.stderr, asked > 1]).toEqual([0, "", true]);
    const bundle = Bundle.open(at("out.tar"));
    expect(bundle.images.find(({ name }) => name.startsWith("docker.io/team"))?.indexes).toBeUndefined();
    bundle.close();
  });
});

describe("proxies", () => {
  /** Runs with these variables of the environment alone, as far as proxies go. */
  async function withProxies<T>(variables: Record<string, string>, action: () => Promise<T>): Promise<T> {
    const names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
    const before = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
    Object.assign(process.env, variables);
    try {
      return await action();
    } finally {
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
    }
  }

  test("loopback is never asked through one, whatever NO_PROXY says", async () => {
    const double = registry();
    const environments: Record<string, string>[] = [
      { HTTP_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.0/8" },
      { HTTP_PROXY: "http://127.0.0.1:9" },
      { http_proxy: "127.0.0.1:9" },
    ];
    for (const variables of environments)
      expect(await withProxies(variables, () => pull(`docker.io=${double.url}`, {}))).toMatchObject({ status: 0 });
  });

  test("host:port is one, others are asked through it, and what is none matters only where it would be asked", async () => {
    const asked: string[] = [];
    const double = registry();
    const proxy = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        asked.push(request.url);
        return double.answer(request);
      },
    });
    const insecure = [
      "--insecure-registry",
      "registry.example.test",
      "--registry-mirror",
      "docker.io=http://registry.example.test",
    ];
    const create = (...more: string[]) =>
      kubestickHere("bundle", "create", at("out.tar"), "--from", at("small.tar"), "--arch", "amd64", ...more);
    const image = ["--image", "docker.io/team/app:1", ...insecure];
    try {
      const through = await withProxies({ HTTP_PROXY: `127.0.0.1:${proxy.port}` }, () => create(...image));
      expect([through.status, through.stderr]).toEqual([0, ""]);
      expect(asked[0]).toBe("http://registry.example.test/v2/team/app/manifests/1");
      expect(await withProxies({ HTTP_PROXY: "socks5://127.0.0.1:9" }, () => create("--offline"))).toMatchObject({
        status: 0,
      });
      const bad = await withProxies({ HTTP_PROXY: "socks5://127.0.0.1:9" }, () => create(...image));
      expect([bad.status, bad.stderr]).toEqual([2, expect.stringContaining("HTTP_PROXY")]);
    } finally {
      await proxy.stop(true);
    }
  });
});
