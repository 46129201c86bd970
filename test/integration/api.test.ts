import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { ApiError, ConnectError } from "../../lib/api/errors.ts";
import { jsonExcess } from "../../lib/api/shape.ts";
import { watch } from "../../lib/api/watch.ts";
import { apiDouble, type Handler, json, testCa } from "../support/api-double.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function pair(
  handler: Handler,
  options: { callTimeoutMs?: number; refusalsPassMs?: number; anyClient?: boolean } = { callTimeoutMs: 3_000 },
) {
  const double = await apiDouble(handler, options);
  const client = new ApiClient(
    { server: double.server, ca: double.ca, clientCertificate: double.client.cert, clientKey: double.client.key },
    options,
  );
  closing.push(() => client.close(), double.close);
  return { double, client };
}
const whoami: Handler = (request, response) => response.end(`hello ${request.token ?? "certificate"}`);
const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", namespace: "n" }, data: { a: "1" } };

describe("TLS", () => {
  test("the client certificate is presented and the server's CA is required", async () => {
    const { double, client } = await pair(whoami);
    expect(await client.text("/whoami")).toBe("hello certificate");
    const nobody = new ApiClient({ server: double.server, ca: double.ca });
    const stranger = await (await testCa()).issue({ commonName: "kubernetes-admin", usages: ["client"] });
    const strange = new ApiClient({
      server: double.server,
      ca: double.ca,
      clientCertificate: stranger.cert,
      clientKey: stranger.key,
    });
    closing.push(
      () => nobody.close(),
      () => strange.close(),
    );
    await expect(nobody.text("/")).rejects.toThrow(ConnectError);
    await expect(strange.text("/")).rejects.toThrow(ConnectError);
    const open = await pair(whoami, { anyClient: true });
    const token = new ApiClient({ server: open.double.server, ca: open.double.ca, token: "secret" });
    closing.push(() => token.close());
    expect(await token.text("/")).toBe("hello Bearer secret");
    const other = new ApiClient({ server: double.server, ca: (await testCa("other")).ca });
    closing.push(() => other.close());
    const refused = (await other.text("/").catch((e) => e)) as ConnectError;
    expect(refused).toBeInstanceOf(ConnectError);
    expect(refused.failure).toBe("identity");
    expect(refused.message).toContain("is not the server it should be");
    const wrongName = new ApiClient({ server: double.server.replace("127.0.0.1", "127.0.0.2"), ca: double.ca });
    closing.push(() => wrongName.close());
    await expect(wrongName.text("/")).rejects.toThrow(ConnectError);
  });

  test("a TLS failure is not retried; a closed port is, until the deadline", async () => {
    const { double } = await pair(whoami);
    const wrong = new ApiClient({ server: double.server, ca: (await testCa()).ca }, { callTimeoutMs: 5_000 });
    closing.push(() => wrong.close());
    const started = Date.now();
    await expect(wrong.get("v1", "Node", "n")).rejects.toThrow(ConnectError);
    expect(Date.now() - started).toBeLessThan(2_000);
    const nameless = new ApiClient(
      { server: "https://lb.kubestick.invalid:6443", ca: double.ca },
      { callTimeoutMs: 600 },
    );
    closing.push(() => nameless.close());
    const unknown = (await nameless.get("v1", "Node", "n").catch((e) => e)) as ConnectError;
    expect([unknown.failure, unknown.passing]).toEqual(["name", true]);
    expect(unknown.message).toContain("the name lb.kubestick.invalid does not resolve on this host");
    expect(unknown.hint).toContain('echo "ADDRESS lb.kubestick.invalid" >> /etc/hosts');
    const closed = new ApiClient({ server: "https://127.0.0.1:1", ca: double.ca }, { callTimeoutMs: 600 });
    closing.push(() => closed.close());
    const failure = (await closed.get("v1", "Node", "n").catch((e) => e)) as ConnectError;
    expect(failure.message).toContain("cannot reach the API server at https://127.0.0.1:1");
    expect(failure.failure).toBe("unreachable");
  });

  test("the compiled executable keeps both", async () => {
    const { double } = await pair(whoami);
    const dir = mkdtempSync(join(tmpdir(), "kubestick-tls-"));
    closing.push(() => rmSync(dir, { recursive: true }));
    const build = Bun.spawnSync([
      process.execPath,
      "build",
      "--compile",
      join(import.meta.dir, "../support/tls-probe.ts"),
      "--outfile",
      join(dir, "probe"),
    ]);
    expect(build.exitCode).toBe(0);
    const ask = async (ca: string) => {
      writeFileSync(join(dir, "ca"), ca);
      writeFileSync(join(dir, "cert"), double.client.cert);
      writeFileSync(join(dir, "key"), double.client.key);
      const child = Bun.spawn([join(dir, "probe"), double.server, dir]);
      return new Response(child.stdout).text();
    };
    expect(await ask(double.ca)).toBe("hello certificate");
    expect(await ask((await testCa()).ca)).toBe("ConnectError");
  });
});

describe("requests", () => {
  test("server-side apply, merge patch and create-if-absent are what they should be", async () => {
    const seen: string[] = [];
    const { client } = await pair((request, response) => {
      seen.push(`${request.method} ${request.url.pathname}${request.url.search} ${request.type ?? ""}`);
      if (request.method === "POST") json(response, 409, { message: "already exists" });
      else json(response, 200, configMap);
    });
    await client.apply(configMap);
    await client.mergePatch(configMap, { data: null });
    expect(await client.createIfAbsent(configMap)).toEqual(configMap);
    expect(seen).toEqual([
      "PATCH /api/v1/namespaces/n/configmaps/c?fieldManager=kubestick&force=true application/apply-patch+yaml",
      "PATCH /api/v1/namespaces/n/configmaps/c?fieldManager=kubestick application/merge-patch+json",
      "POST /api/v1/namespaces/n/configmaps?fieldManager=kubestick application/json",
      "GET /api/v1/namespaces/n/configmaps/c ",
    ]);
  });

  test("each refusal says what it is and what to do", async () => {
    for (const [status, words] of [
      [401, "does not accept these credentials"],
      [409, "at the same time"],
      [422, "invalid"],
      [400, "answered 400"],
    ] as const) {
      const { client } = await pair((_request, response) =>
        json(response, status, { kind: "Status", message: "the detail" }),
      );
      const failure = (await client.apply(configMap).catch((e) => e)) as ApiError;
      expect(failure).toBeInstanceOf(ApiError);
      expect(failure.message).toContain("apply ConfigMap n/c");
      expect(failure.message).toContain(words);
      expect(failure.message).toContain("the detail");
    }
    for (const status of [401, 403]) {
      let asked = 0;
      const refuse: Handler = (_request, response) => json(response, ++asked < 4 ? status : 200, configMap);
      const { client } = await pair(refuse);
      await expect(client.apply(configMap)).rejects.toThrow(`(${status})`);
      expect(asked).toBe(1);
      const begun = await pair(refuse, { callTimeoutMs: 3_000, refusalsPassMs: 3_000 });
      expect(await begun.client.apply(configMap)).toEqual(configMap);
      expect(asked).toBe(4);
      asked = 0;
      expect(await client.callIfAllowed("GET", "/x")).toBeUndefined();
      asked = 0;
      expect(await client.callIfAllowed("GET", "/x", 3_000)).toEqual(configMap);
      asked = 0;
      const patient = await pair(refuse, { callTimeoutMs: 3_000, refusalsPassMs: 1 });
      await expect(patient.client.apply(configMap)).rejects.toThrow(`(${status})`);
    }
  });

  test("a server that is starting is asked again, with one deadline for all", async () => {
    let asked = 0;
    const { client } = await pair((_request, response) =>
      ++asked < 4 ? json(response, 503, {}) : json(response, 200, configMap),
    );
    expect(await client.get("v1", "ConfigMap", "c", "n")).toEqual(configMap as never);
    expect(asked).toBe(4);
    const slow = await pair((_request, response) => json(response, 500, {}), { callTimeoutMs: 500 });
    const started = Date.now();
    await expect(slow.client.get("v1", "ConfigMap", "c", "n")).rejects.toThrow(ApiError);
    expect(Date.now() - started).toBeLessThan(1_500);
  });

  test("lists are read page by page, and 404 is no object", async () => {
    const { client } = await pair((request, response) => {
      if (request.url.pathname.endsWith("/none")) return json(response, 404, {});
      const page = Number(request.url.searchParams.get("continue") ?? 0);
      json(response, 200, {
        items: [{ metadata: { name: `n${page}` } }],
        metadata: { resourceVersion: "7", ...(page < 2 ? { continue: String(page + 1) } : {}) },
      });
    });
    expect(await client.list<never>("v1", "Node")).toEqual({
      items: ["n0", "n1", "n2"].map((name) => ({ metadata: { name } })) as never[],
      resourceVersion: "7",
    });
    expect(await client.get("v1", "Node", "none")).toBeUndefined();
  });
});

test("a page that is too large is asked for in smaller ones; one object that is, or a list without an end, is an error", async () => {
  const asked: (string | null)[] = [];
  const padding = "x".repeat(200_000);
  const { client } = await pair((request, response) => {
    const { searchParams, pathname } = request.url;
    asked.push(searchParams.get("limit"));
    const from = Number(searchParams.get("continue") ?? 0);
    const size = pathname.endsWith("/nodes") ? Math.min(30 - from, Number(searchParams.get("limit"))) : 30;
    const items = Array.from({ length: size }, (_, i) => ({ metadata: { name: `n${from + i}`, padding } }));
    const more = pathname.endsWith("/pods") ? String(from + 1) : from + size < 30 ? String(from + size) : "";
    json(response, 200, { items: pathname.endsWith("/pods") ? [] : items, metadata: { continue: more } });
  });
  const { items } = await client.list<{ metadata: { name: string } }>("v1", "Node");
  expect(items.map(({ metadata }) => metadata.name)).toEqual(Array.from({ length: 30 }, (_, i) => `n${i}`));
  expect(asked.splice(0)).toEqual(["50", "10", "10", "10"]);
  await expect(client.list("v1", "Secret")).rejects.toThrow("it sends more than 4 MiB");
  expect(asked.splice(0)).toEqual(["50", "10", "2", "1"]);
  const circle = await pair((_request, response) => json(response, 200, { items: [], metadata: { continue: "a" } }));
  await expect(circle.client.list("v1", "Pod")).rejects.toThrow("its list does not end");
});

test("JSON that would fill the memory is refused before it is parsed, and no other", async () => {
  const excess: [json: string, said: string | undefined][] = [
    ["[".repeat(101), "nested more than 100 levels"],
    [`${"[".repeat(100)}${"]".repeat(100)}`, undefined],
    [`[${"{},".repeat(150_000)}{}]`, "more than 200000 values"],
    [`[${"1,".repeat(199_000)}1]`, undefined],
    [JSON.stringify({ text: `${"[{,".repeat(500_000)}\\"` }), undefined],
    [JSON.stringify({ 'a"[': '\\"[[[' }).repeat(3), undefined],
  ];
  for (const [text, said] of excess) {
    const found = jsonExcess(Buffer.from(text));
    if (said === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(said);
  }
});

test("a watch resumes where it broke off, follows bookmarks and starts over after 410", async () => {
  const asked: (string | null)[] = [];
  const { client } = await pair((request, response) => {
    const version = request.url.searchParams.get("resourceVersion");
    if (!request.url.searchParams.has("watch"))
      return json(response, 200, {
        items: [{ metadata: { name: `listed-${asked.length}` } }],
        metadata: { resourceVersion: "10" },
      });
    asked.push(version);
    const send = (type: string, name: string, resourceVersion: string) =>
      response.write(`${JSON.stringify({ type, object: { metadata: { name, resourceVersion } } })}\n`);
    if (asked.length === 1) {
      send("ADDED", "a", "11");
      response.write('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"20"}}}\n{"type":"MODI');
      response.end('FIED","object":{"metadata":{"name":"b","resourceVersion":"21"}}}\n');
    } else if (asked.length === 2) {
      response.end('{"type":"ERROR","object":{"code":410,"message":"too old"}}\n');
    } else send("DELETED", "c", "30");
  });
  const stop = new AbortController();
  const events: string[] = [];
  for await (const event of watch(client, "v1", "Node", { signal: stop.signal })) {
    const objects = event.type === "SYNCED" ? event.items : [event.object];
    events.push(`${event.type} ${objects.map((object) => object.metadata.name).join()}`);
    if (event.type === "DELETED") break;
  }
  stop.abort();
  expect(events).toEqual(["SYNCED listed-0", "ADDED a", "MODIFIED b", "SYNCED listed-2", "DELETED c"]);
  expect(asked).toEqual(["10", "21", "10"]);
});
