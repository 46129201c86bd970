import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { AnswerError, ApiError, ConnectError } from "../../lib/api/errors.ts";
import { watch } from "../../lib/api/watch.ts";
import { discoverByToken } from "../../lib/bootstrap/discovery.ts";
import { discoverByFile } from "../../lib/bootstrap/discovery-file.ts";
import { verifiedTime } from "../../lib/bootstrap/server-time.ts";
import { newCertificateKey, sealCertificate } from "../../lib/cluster/certificates.ts";
import { readKubeletConfig } from "../../lib/cluster/config.ts";
import { clusterInfo, discoveryKubeconfig } from "../../lib/cluster/info.ts";
import { readClusterNetwork } from "../../lib/cluster/network.ts";
import { createToken, deleteToken, listTokens, useUpToken } from "../../lib/cluster/tokens.ts";
import { KubestickError } from "../../lib/errors.ts";
import { EtcdClient } from "../../lib/etcd/client.ts";
import { Files } from "../../lib/host/files.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { bootstrapKubelet } from "../../lib/kubelet/bootstrap.ts";
import { type Join, openJoin } from "../../lib/phases/join/context.ts";
import { controlPlanePreparePhase } from "../../lib/phases/join/control-plane-prepare.ts";
import { etcdEndpoints } from "../../lib/phases/join/etcd-join.ts";
import { JOIN_PHASES } from "../../lib/phases/join/join.ts";
import { runWhole } from "../../lib/phases/runner.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { readCertificates } from "../../lib/pki/pem.ts";
import { inParallel } from "../../lib/util/pool.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { FACTS } from "../support/config.ts";
import {
  BAD_ANSWERS,
  Chance,
  http,
  identities,
  type RawRequest,
  type RawServer,
  rawServer,
} from "../support/hostile.ts";
import { silentUi } from "../support/ui.ts";

/** How many bent answers each question gets; more, and another seed, by hand. */
const ROUNDS = Number(process.env["KUBESTICK_FUZZ_ROUNDS"] ?? 12);
const SEED = Number(process.env["KUBESTICK_FUZZ_SEED"] ?? 1);
/** How many questions are asked side by side: they mostly wait. */
const AT_ONCE = 24;
/** No question takes longer, whatever the answer: this shows that each one ends. */
const BOUND_MS = 60_000;

const TOKEN = { id: "abcdef", secret: "0123456789abcdef" };
const KEY = newCertificateKey();
const base64 = (text: string) => Buffer.from(text).toString("base64");

let dir: string;
let who: Awaited<ReturnType<typeof identities>>;
beforeAll(async () => {
  dir = fs.mkdtempSync(join(tmpdir(), "kubestick-answers-"));
  who = await identities();
});
afterAll(() => fs.rmSync(dir, { recursive: true }));

/** What a good control plane says to each question. */
function good({ method, path, body }: RawRequest, double: RawServer): object {
  const at = path.split("?")[0]!;
  const data = (name: string, fields: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "kube-system", resourceVersion: "7" },
    data: fields,
  });
  const tokenSecret = {
    metadata: { name: "bootstrap-token-abcdef", uid: "u1", resourceVersion: "1" },
    type: "bootstrap.kubernetes.io/token",
    data: {
      "token-id": base64(TOKEN.id),
      "token-secret": base64(TOKEN.secret),
      "usage-bootstrap-signing": base64("true"),
      expiration: base64("2099-01-01T00:00:00Z"),
      "auth-extra-groups": base64("system:bootstrappers:a"),
    },
  };
  if (method === "PATCH" || (method === "POST" && !at.startsWith("/v3/"))) return { ...object, ...JSON.parse(body) };
  if (at === "/v3/cluster/member/list")
    return { members: [{ ID: "1", name: "a", peerURLs: ["https://a:2380"], clientURLs: ["https://a:2379"] }] };
  if (at.startsWith("/v3/")) return { member: { ID: "2", isLearner: true } };
  if (at === "/version") return { gitVersion: "v1.36.2" };
  if (at.endsWith("/cluster-info")) return clusterInfo(discoveryKubeconfig(double.server, double.ca), [TOKEN]);
  if (at.endsWith("/kubeadm-config"))
    return data("kubeadm-config", {
      ClusterConfiguration: `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\ncontrolPlaneEndpoint: cluster.test:6443\nnetworking: {podSubnet: 10.244.0.0/16}\n`,
    });
  if (at.endsWith("/kubelet-config"))
    return data("kubelet-config", {
      kubelet: `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}\n`,
    });
  if (at.endsWith("/secrets/kubeadm-certs")) {
    const names = [
      "ca.crt",
      "ca.key",
      "front-proxy-ca.crt",
      "front-proxy-ca.key",
      "sa.key",
      "sa.pub",
      "etcd-ca.crt",
      "etcd-ca.key",
    ];
    const sealed = (text: string) => sealCertificate(Buffer.from(text), KEY).toString("base64");
    return {
      metadata: { name: "kubeadm-certs" },
      data: Object.fromEntries(names.map((name) => [name, sealed(double.ca)])),
    };
  }
  if (at.includes("/certificatesigningrequests/"))
    return {
      metadata: { name: "csr" },
      status: { conditions: [{ type: "Approved" }], certificate: base64(double.client.cert) },
    };
  if (at.endsWith("/secrets")) return { metadata: { resourceVersion: "9" }, items: [tokenSecret] };
  if (at.endsWith("/pods"))
    return {
      items: [
        {
          metadata: {
            name: "etcd-a",
            annotations: { "kubeadm.kubernetes.io/etcd.advertise-client-urls": "https://a:2379" },
          },
        },
      ],
    };
  if (at.endsWith("/nodes/n1"))
    return {
      metadata: { name: "n1" },
      spec: { taints: [] },
      status: { conditions: [{ type: "Ready", status: "False" }] },
    };
  if (at.endsWith("/nodes")) return { metadata: { resourceVersion: "3" }, items: [{ metadata: { name: "n1" } }] };
  return { ...tokenSecret, spec: {}, status: {} };
}

type Question = (double: RawServer) => Promise<unknown>;

const connection = ({ server, ca, client }: RawServer) => ({
  server,
  ca,
  clientCertificate: client.cert,
  clientKey: client.key,
});
const withClient =
  (use: (client: ApiClient, double: RawServer) => Promise<unknown>): Question =>
  async (double) => {
    const client = new ApiClient(connection(double), { callTimeoutMs: 300 });
    return use(client, double).finally(() => client.close());
  };
const withEtcd =
  (use: (etcd: EtcdClient) => Promise<unknown>): Question =>
  async ({ server, ca, client }) => {
    const etcd = new EtcdClient([server], { ca, certificate: client.cert, key: client.key });
    return use(etcd).finally(() => etcd.close());
  };
const tokenDiscovery = ({ server, ca }: RawServer, timeoutMs: number) => ({
  endpoint: server.slice("https://".length),
  token: `${TOKEN.id}.${TOKEN.secret}`,
  pins: readCertificates(ca, "ca").map(caPin),
  unsafeSkipCaVerification: false,
  timeoutMs,
});
let files = 0;
function discoveryFile({ server, ca }: RawServer): string {
  const file = join(dir, `discovery-${++files}.conf`);
  fs.writeFileSync(file, writeYaml(kubeconfig("c", "u", server, ca, { token: "abcdef.0123456789abcdef" })));
  return file;
}

const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", namespace: "n" } };
const bootstrapToken = { token: "fedcba.0123456789abcdef", usages: ["signing"], groups: [] };

/** A node that joins, up to what it reads from the cluster; what it would write is only kept in memory. */
const joining =
  (use: (ctx: Join) => Promise<unknown>, controlPlane: boolean): Question =>
  async (double) => {
    const ui = silentUi();
    const files = new Files(dir, { overlay: true });
    const ctx = openJoin(
      {
        discovery: { file: { kubeConfigPath: discoveryFile(double) } },
        nodeRegistration: { name: "n1" },
        timeouts: { discovery: "300ms" },
        ...(controlPlane ? { controlPlane: { localAPIEndpoint: {}, certificateKey: KEY } } : {}),
      },
      { facts: FACTS, files, ui, bundle: undefined, environment: {}, dryRun: true },
      { ignorePreflightErrors: new Set(), syncTime: false },
    );
    return use(ctx).finally(() => ctx.close());
  };

/** Everything that kubestick asks a control plane, or an etcd. */
const QUESTIONS: Record<string, Question> = {
  get: withClient((client) => client.get("v1", "Node", "n1")),
  list: withClient((client) => client.list("v1", "Node")),
  apply: withClient((client) => client.apply(object)),
  "create if absent": withClient((client) => client.createIfAbsent(object)),
  "merge patch": withClient((client) => client.mergePatch(object, {})),
  delete: withClient((client) => client.delete("v1", "Node", "n1")),
  "call if allowed": withClient((client) => client.callIfAllowed("GET", "/version")),
  text: withClient((client) => client.text("/livez")),
  "list tokens": withClient(async (client) => (await listTokens(client)).map(({ expires }) => expires?.getTime())),
  "create a token": withClient((client) => createToken(client, bootstrapToken, new Date(), { singleUse: true })),
  "delete a token": withClient((client) => deleteToken(client, "abcdef", new Date())),
  "use a token up": withClient((client) => useUpToken(client, "abcdef")),
  "the kubelet's configuration": withClient((client) => readKubeletConfig(client)),
  "the networks": withClient((client) => readClusterNetwork(client)),
  "the kubelet's certificate": withClient((client, double) =>
    bootstrapKubelet({
      files: new Files(dir, { overlay: true }),
      nodeName: "n1",
      client,
      cluster: { server: double.server, ca: double.ca },
      timeoutMs: 30,
      waiting: () => undefined,
      unsigned: () => undefined,
    }),
  ),
  "discovery by token": (double) => discoverByToken(tokenDiscovery(double, 300)),
  "discovery by file": (double) => discoverByFile(discoveryFile(double), 300),
  "the time": (double) => verifiedTime(double.server.slice("https://".length), double.ca, 1_000),
  "members of etcd": withEtcd((etcd) => etcd.list()),
  "a learner": withEtcd((etcd) => etcd.addLearner("https://b:2380")),
  "join as a worker": joining(
    (ctx) => runWhole(JOIN_PHASES.find(({ name }) => name === "kubelet-start")!, ctx, ctx.node.ui),
    false,
  ),
  "join as a control plane": joining(async (ctx) => {
    await runWhole(controlPlanePreparePhase, ctx, ctx.node.ui);
    await etcdEndpoints(await ctx.controlPlane());
  }, true),
};

/**
 * Answered, or the class of what was thrown, when a server of its own answers a question in this way; anything but an
 * error with words for a person fails the test.
 */
async function outcome(
  name: string,
  answer: (request: RawRequest, double: RawServer) => Buffer,
  about: unknown,
): Promise<string> {
  const double = await rawServer(who, answer);
  const started = Date.now();
  try {
    await QUESTIONS[name]!(double);
    return "answered";
  } catch (error) {
    if (error instanceof KubestickError) return error.name;
    throw new Error(`${name}: ${String((error as Error).stack)}\nafter ${JSON.stringify(about)?.slice(0, 2_000)}`);
  } finally {
    double.close();
    expect({ name, about, late: Date.now() - started > BOUND_MS }).toEqual({ name, about, late: false });
  }
}

describe("whatever a server answers, it is an answer or an error with words", () => {
  // The first connection loads what all others use; the questions' own time-outs are short.
  beforeAll(async () => {
    const double = await rawServer(who, (request) => http(200, JSON.stringify(good(request, double))));
    await QUESTIONS["get"]!(double).catch(() => undefined);
    double.close();
  });
  for (const name of Object.keys(QUESTIONS)) {
    test(`${name}: a good answer is one`, async () => {
      // The certificates are a CA's and no pairs, the token is there, and the time is not told: these fail, in words.
      const wanted: Record<string, string> = {
        "the time": "KubestickError",
        "create a token": "KubestickError",
        "the kubelet's certificate": "KubestickError",
        "join as a control plane": "KubestickError",
      };
      const answer = (request: RawRequest, double: RawServer) => http(200, JSON.stringify(good(request, double)));
      expect(await outcome(name, answer, "a good answer")).toBe(wanted[name] ?? "answered");
    });
  }

  test("answers that are none", async () => {
    const all = Object.keys(QUESTIONS).flatMap((name) =>
      Object.entries(BAD_ANSWERS).map(([kind, make]) => ({ name, kind, make })),
    );
    await inParallel(all, AT_ONCE, async ({ name, kind, make }) => {
      await outcome(name, (request, double) => make(JSON.stringify(good(request, double))), kind);
    });
  });

  test(`${ROUNDS} bent answers to each question`, async () => {
    const all = Object.keys(QUESTIONS).flatMap((name) =>
      Array.from({ length: ROUNDS }, (_, i) => ({ name, seed: SEED * 10_007 + i })),
    );
    await inParallel(all, AT_ONCE, async ({ name, seed }) => {
      const chance = new Chance(seed);
      const sent: string[] = [];
      // Mostly the first answers are good, so that what comes behind them is asked at all.
      let first = chance.number(4);
      const answer = (request: RawRequest, double: RawServer) => {
        const value = good(request, double);
        const body = first-- > 0 ? value : chance.value(value);
        sent.push(`${request.method} ${request.path}: ${JSON.stringify(body)}`);
        const bytes = http(chance.pick([200, 200, 200, 201, 409, 500]), JSON.stringify(body) ?? "");
        return chance.number(10) === 0 ? chance.bytes(bytes) : bytes;
      };
      await outcome(name, answer, sent);
    });
  });
});

test("each bad answer is told for what it is, at once where waiting does not mend it", async () => {
  const ask = async (make: (body: string) => Buffer): Promise<Error> => {
    const double = await rawServer(who, (request, self) => make(JSON.stringify(good(request, self))));
    return QUESTIONS["get"]!(double)
      .then(
        () => new Error("answered"),
        (error: Error) => error,
      )
      .finally(double.close);
  };
  const said: Record<string, RegExp | string> = {
    "a web page": /does not answer as a Kubernetes API server does: it sends a web page$/,
    "cut JSON": /it sends no JSON/,
    "a list": /JSON that is no object/,
    "a chunk that is none": /what is no HTTP/,
    "a redirect": /the API server answered 302/,
  };
  for (const [kind, words] of Object.entries(said)) {
    const error = await ask(BAD_ANSWERS[kind]!);
    expect([AnswerError, ApiError].some((type) => error instanceof type)).toBe(true);
    expect(error.message).toMatch(words);
  }
  expect((await ask(() => http(200, Buffer.alloc(5 * 1024 * 1024, 0x20)))).message).toEndWith(
    "it sends more than 4 MiB",
  );
});

test("a byte a second is no answer: every question ends in its time", async () => {
  const slow = await slowServer();
  try {
    const started = Date.now();
    await expect(discoverByToken(tokenDiscovery(slow, 1_500))).rejects.toThrow(ConnectError);
    await expect(verifiedTime(slow.server.slice("https://".length), slow.ca, 1_000)).rejects.toThrow(KubestickError);
    await expect(discoverByFile(discoveryFile(slow), 1_000)).rejects.toThrow(ConnectError);
    const client = new ApiClient({ server: slow.server, ca: slow.ca }, { callTimeoutMs: 1_000 });
    await expect(client.get("v1", "Node", "n")).rejects.toThrow(ConnectError);
    await client.close();
    expect(Date.now() - started).toBeLessThan(BOUND_MS);
  } finally {
    slow.close();
  }
});

/** A server that says it will send a lot, and sends a byte now and then. */
async function slowServer() {
  const timers: ReturnType<typeof setInterval>[] = [];
  const server = await rawServer(
    who,
    () => undefined,
    (socket) => {
      socket.write("HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n");
      timers.push(setInterval(() => socket.writable && socket.write(" "), 200));
    },
  );
  const close = () => {
    for (const timer of timers) clearInterval(timer);
    server.close();
  };
  return { ...server, close };
}

describe("a watch", () => {
  const events = async (lines: (Buffer | string)[], limit: number) => {
    let asked = 0;
    const double = await rawServer(who, ({ path }) => {
      if (!path.includes("watch=true"))
        return http(200, JSON.stringify({ metadata: { resourceVersion: "1" }, items: null }));
      asked++;
      const body = Buffer.concat(lines.map((line) => Buffer.from(line as string)));
      return Buffer.concat([Buffer.from(`HTTP/1.1 200 X\r\ncontent-length: ${body.length}\r\n\r\n`), body]);
    });
    const seen: string[] = [];
    const stop = new AbortController();
    const client = new ApiClient(connection(double), { callTimeoutMs: 400 });
    try {
      for await (const event of watch(client, "v1", "Node", { signal: stop.signal })) {
        seen.push(event.type === "SYNCED" ? "SYNCED" : `${event.type} ${event.object.metadata.name}`);
        if (seen.length >= limit) break;
      }
    } catch (error) {
      seen.push((error as Error).name);
    } finally {
      stop.abort();
      await client.close();
      double.close();
    }
    return { seen, asked };
  };
  const added = (name: string) => `${JSON.stringify({ type: "ADDED", object: { metadata: { name } } })}\n`;

  test("is taken up again where it was cut in the middle of an event", async () => {
    expect(await events([added("a"), added("b").slice(0, 20)], 3)).toEqual({
      seen: ["SYNCED", "ADDED a", "ADDED a"],
      asked: 2,
    });
  });

  test("with something else in it is told for what it is", async () => {
    const bad = [
      "garbage\n",
      "[]\n",
      "null\n",
      '{"type":"ADDED"}\n',
      '{"type":"ADDED","object":5}\n',
      '{"type":5,"object":{"metadata":{"name":"x"}}}\n',
      '{"type":"ADDED","object":{"metadata":null}}\n',
      '{"type":"LATER","object":{"metadata":{"name":"x"}}}\n',
      Buffer.alloc(5 * 1024 * 1024, 0x78),
    ];
    for (const line of bad)
      expect(await events([added("a"), line], 9)).toEqual({ seen: ["SYNCED", "ADDED a", "AnswerError"], asked: 1 });
    const forbidden = '{"type":"ERROR","object":{"code":403,"message":["x"]}}\n';
    expect(await events([forbidden], 9)).toEqual({ seen: ["SYNCED", "ApiError"], asked: 1 });
  });
});
