import { afterEach, describe, expect, test } from "bun:test";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { ApiClient } from "../../lib/api/client.ts";
import { AnswerError } from "../../lib/api/errors.ts";
import { type ClockSkew, discoverByToken, type TokenDiscovery } from "../../lib/bootstrap/discovery.ts";
import { clusterInfo, discoveryKubeconfig } from "../../lib/cluster/info.ts";
import { KubestickError } from "../../lib/errors.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { readCertificates } from "../../lib/pki/pem.ts";
import { json } from "../support/api-double.ts";
import { type Forged, forged, type Party } from "../support/forge.ts";

const TOKEN = { id: "abcdef", secret: "0123456789abcdef" };
const CA: Forged = { subject: "kubernetes", basic: { ca: true }, keyUsage: 0x06 };
const SERVER: Forged = { ip: ["127.0.0.1"], extKeyUsage: ["server"] };
const DAY = 86_400_000;
const ca = forged(CA);
const other = forged(CA);
const pin = (...parties: Party[]) => parties.flatMap(({ cert }) => readCertificates(cert, "a CA").map(caPin));
const pem = (...parties: Party[]) => parties.map(({ cert }) => cert).join("");

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Cluster {
  leaf?: Party;
  status?: number;
  headers?: http.OutgoingHttpHeaders;
  /** What stands for cluster-info, when it is not the good one. */
  info?: (server: string) => unknown;
}

/** A control plane, whoever runs it; gives how to look for it, and what secrets it was sent. */
async function cluster({ leaf = forged(SERVER, ca), status = 200, headers, info = good(ca.cert) }: Cluster) {
  const secrets: (string | undefined)[] = [];
  const server: https.Server = https.createServer({ cert: leaf.cert, key: leaf.keyPem }, (request, response) => {
    secrets.push(request.headers.authorization);
    const said = info(url());
    if (typeof said === "string") response.writeHead(status, headers).end(said);
    else json(response, status, said, headers as Record<string, string>);
  });
  const url = () => `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const options: TokenDiscovery = {
    endpoint: url().slice("https://".length),
    token: `${TOKEN.id}.${TOKEN.secret}`,
    pins: pin(ca),
    unsafeSkipCaVerification: false,
    timeoutMs: 1_500,
  };
  return { url: url(), secrets, options };
}

/** A cluster-info with this CA and server, signed with the token. */
const good =
  (authority: string, server?: string) =>
  (self: string): object =>
    clusterInfo(discoveryKubeconfig(server ?? self, authority), [TOKEN]);
const signed = (text: string) => () => clusterInfo(text, [TOKEN]);

async function refusal(options: TokenDiscovery): Promise<KubestickError> {
  const started = Date.now();
  const error = await discoverByToken(options).then(
    () => new Error("it went through"),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(KubestickError);
  // All that is refused here is so at once, without a second try.
  expect(Date.now() - started).toBeLessThan(options.timeoutMs);
  return error as KubestickError;
}

describe("whoever knows a token can sign a cluster-info, and gains nothing by it", () => {
  test("of the CAs in it only the pinned ones are believed", async () => {
    for (const authority of [pem(ca, other), pem(other, ca), pem(other, ca, other)]) {
      const { options, url } = await cluster({ info: good(authority) });
      const found = await discoverByToken(options);
      expect(found).toEqual({ server: url, ca: ca.cert });
      // A server of the smuggled CA's is a stranger to what is made of it.
      const stranger = await cluster({ leaf: forged(SERVER, other) });
      const client = new ApiClient({ server: stranger.url, ca: found.ca, token: "secret" });
      closing.push(() => client.close());
      await expect(client.get("v1", "Node", "n")).rejects.toThrow("is not the server it should be");
      expect(stranger.secrets).toEqual([]);
    }
    const { options } = await cluster({ info: good(pem(ca, other)) });
    expect((await discoverByToken({ ...options, pins: pin(ca, other) })).ca).toBe(pem(ca, other));
  });

  test("a server that shows a certificate of the smuggled CA is refused", async () => {
    const { options } = await cluster({ leaf: forged(SERVER, other), info: good(pem(ca, other)) });
    expect((await refusal(options)).message).toContain("is not the server it should be");
  });

  test("no server that is not https is asked, or told the token", async () => {
    for (const server of [
      "http://127.0.0.1:6443",
      "HTTP://127.0.0.1:6443",
      "ftp://127.0.0.1",
      "file:///etc/passwd",
      "ws://127.0.0.1",
      "https://",
      "https://u:p@127.0.0.1",
      "https://127.0.0.1:6443?x",
      "javascript:alert(1)//",
    ]) {
      const { options, secrets } = await cluster({ info: good(ca.cert, JSON.stringify(server)) });
      expect((await refusal(options)).message).toMatch(
        /cluster-info of .* is not a usable kubeconfig: its (server|cluster)/,
      );
      expect(secrets).toEqual([undefined]);
    }
  });

  test("what stands in it and is no kubeconfig is told for what it is", async () => {
    const base = discoveryKubeconfig("https://127.0.0.1:6443", ca.cert);
    const data = (text: string) =>
      base.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${text}`);
    const cases: [text: string, said: string][] = [
      ["", "it is no mapping"],
      ["5", "it is no mapping"],
      ["[1]", "it is no mapping"],
      ["{", "is not YAML"],
      ["clusters: 5", "it has no clusters"],
      ["clusters: [5, null]", "it has no clusters"],
      ["clusters: [{name: '', cluster: 5}]", "names no cluster"],
      ["clusters: [{name: '', cluster: {server: [x]}}]", "it has no certificate authority"],
      ["a: &a [*a]", "is not YAML"],
      ["[".repeat(1_000), "is not YAML: line 1: it is nested more than 200 levels deep"],
      [data("5"), "its certificate-authority-data is not a text"],
      [data("{a: b}"), "its certificate-authority-data is not a text"],
      [data("'%%%'"), "its certificate-authority-data is not base64"],
      [data(btoa("words")), "is not a certificate in PEM"],
      [
        data(btoa(`${ca.cert}-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n`)),
        "certificate 2 of 2 in it cannot be read",
      ],
      [data(btoa(`${ca.cert}-----BEGIN CERTIFICATE-----\n!\n`)), "certificate 2 of 2 in it cannot be read"],
      [base.replace("server: ", "server: &x "), "it went through"],
      [
        base.replace('current-context: ""', "current-context: other"),
        'its current context "other" is not one of its contexts',
      ],
      [
        base.replace("server: ", "insecure-skip-tls-verify: true\n    server: "),
        "it says not to check the server's certificate",
      ],
      [`${base}${"# ".repeat(600_000)}`, "sends more than 1 MiB|larger than"],
    ];
    for (const [text, said] of cases) {
      const { options } = await cluster({ info: signed(text) });
      if (said === "it went through") expect(await discoverByToken(options)).toHaveProperty("ca", ca.cert);
      else expect((await refusal(options)).message).toMatch(new RegExp(said));
    }
  });

  test("values of the wrong type are told for what they are", async () => {
    for (const value of [5, null, {}, [], true]) {
      for (const key of ["jws-kubeconfig-abcdef", "kubeconfig"]) {
        const { options } = await cluster({
          info: (self) => {
            const made = good(ca.cert)(self) as { data: Record<string, unknown> };
            return { ...made, data: { ...made.data, [key]: value } };
          },
        });
        const error = await refusal(options);
        expect(error).toBeInstanceOf(AnswerError);
        expect(error.message).toEndWith(`${key} in its cluster-info is not a text`);
      }
    }
    for (const value of [5, null, [], true, "x"]) {
      const { options } = await cluster({ info: () => ({ data: value }) });
      expect((await refusal({ ...options, timeoutMs: 60_000 })).message).toEndWith("what it sends is no cluster-info");
    }
  });
});

describe("what cannot be found says why, and what to do", () => {
  test("a cluster that shows nothing to strangers", async () => {
    for (const [status, waits] of [
      [401, false],
      [403, true],
      [404, true],
    ] as const) {
      const { options } = await cluster({ status, info: () => ({ kind: "Status", message: "no" }) });
      const told: string[] = [];
      const error = await discoverByToken({ ...options, waiting: (why) => told.push(why) }).catch((e) => e);
      expect(error.message).toContain(`(${status})`);
      expect(error.hint).toContain("--discovery-file FILE");
      expect(told).toEqual(waits ? [error.message] : []);
    }
  });

  test("a port that speaks no TLS", async () => {
    const plain = http.createServer((_request, response) => response.end("hello"));
    await new Promise<void>((done) => plain.listen(0, "127.0.0.1", done));
    closing.push(() => plain.close());
    const { options } = await cluster({});
    const endpoint = `127.0.0.1:${(plain.address() as AddressInfo).port}`;
    const error = await refusal({ ...options, endpoint, timeoutMs: 60_000 });
    expect(error.message).toContain(`https://${endpoint} does not speak TLS`);
    expect(error.hint).toContain("is it the right port?");
  });

  test("a web page, a redirect, and an API that is not Kubernetes'", async () => {
    const pages: [Cluster, string][] = [
      [
        { info: () => "<html>Log in</html>", headers: { "content-type": "text/html" } },
        "does not answer as a Kubernetes API server does: it sends a web page",
      ],
      [{ info: () => "", status: 302, headers: { location: "https://elsewhere.test/" } }, "answered 302"],
      [{ info: () => ({ hello: 1 }) }, "what it sends is no cluster-info"],
      [{ info: () => "hello" }, "it sends no JSON"],
      [{ info: () => "x".repeat(1_100_000) }, "it sends more than 1 MiB"],
    ];
    for (const [how, said] of pages) {
      const { options } = await cluster(how);
      const error = await refusal({ ...options, timeoutMs: 60_000 });
      expect(error.message).toContain(said);
      expect(error.hint).toContain("is it the right address and port");
    }
  });
});

describe("certificates that are not valid now, with a clock that is right", () => {
  const at = (days: number) => new Date(Math.floor(Date.now() / 1000) * 1000 + days * DAY);
  const cases: Record<string, [authority: Forged, leaf: Forged, said: RegExp, hint: string]> = {
    "a CA made while the clock ran ahead": [
      { from: at(3), to: at(30) },
      {},
      /the cluster's CA is not valid yet: it is from .* on, and both clocks say .* made while a clock ran ahead/,
      "wait until then",
    ],
    "a CA that has expired": [{ from: at(-9), to: at(-1) }, {}, /the cluster's CA has expired on/, "renews no CA"],
    "a certificate made while the clock ran ahead": [
      {},
      { from: at(3), to: at(30) },
      /the cluster's API server's certificate is not valid yet/,
      "certs apiserver",
    ],
    "a certificate that has expired": [
      {},
      { from: at(-9), to: at(-1) },
      /the cluster's API server's certificate has expired on/,
      "certs apiserver",
    ],
  };
  for (const [name, [authority, leaf, said, hint]] of Object.entries(cases))
    test(name, async () => {
      const own = forged({ ...CA, ...authority });
      const { options } = await cluster({ leaf: forged({ ...SERVER, ...leaf }, own), info: good(own.cert) });
      const asked: ClockSkew[] = [];
      const error = await refusal({ ...options, pins: pin(own), setClock: (skew) => asked.push(skew) > 0 });
      expect(error.message).toMatch(said);
      expect(error.hint).toContain(hint);
      // No clock is set to a time that mends nothing.
      expect(asked).toEqual([]);
    });
});

test("a cluster whose CA is an intermediate is found with the intermediate's pin", async () => {
  const between = forged({ ...CA, subject: "between" }, ca);
  const leaf = forged(SERVER, between);
  for (const authority of [pem(between), pem(between, ca)]) {
    const { options, url } = await cluster({ leaf, info: good(authority) });
    expect(await discoverByToken({ ...options, pins: pin(between) })).toEqual({ server: url, ca: between.cert });
  }
});
