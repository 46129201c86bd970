import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { sealCertificate } from "../../lib/cluster/certificates.ts";
import { clusterInfo, discoveryKubeconfig } from "../../lib/cluster/info.ts";
import type { Kind } from "../../lib/config/kind.ts";
import { CURRENT } from "../../lib/config/registry.ts";
import type { Schema } from "../../lib/config/schema.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { readCertificates } from "../../lib/pki/pem.ts";
import { isPlain } from "../../lib/yaml/plain.ts";
import { readYaml } from "../../lib/yaml/read.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { apiDouble, json } from "../support/api-double.ts";
import {
  base,
  CERTIFICATE_KEY,
  controlPlane,
  type Document,
  document,
  other,
  plainWorker,
  real,
  whole,
  worker,
} from "../support/every-field.ts";
import { kubestick } from "../support/kubestick.ts";
import { Rooted } from "../support/rooted.ts";

const { init, cluster, join: joining } = CURRENT as Record<keyof typeof CURRENT, Kind>;

/** A field that holds no others: `etcd.local.dataDir`, `apiServer.extraArgs[].name`, `featureGates{}`. */
type Leaf = string;

const HERE = join(import.meta.dir, "../..");
const HOUR = 3_600_000;
const HEADER = ["apiVersion", "kind"];

/** Every leaf that a schema has. */
function leavesOf(schema: Schema, at = ""): Leaf[] {
  if (schema.kind === "list") return leavesOf(schema.of, `${at}[]`);
  if (schema.kind === "map") return leavesOf(schema.of, `${at}{}`);
  if (schema.kind !== "object") return [at];
  return Object.entries(schema.fields)
    .filter(([name]) => at !== "" || !HEADER.includes(name))
    .flatMap(([name, field]) => leavesOf(field, at === "" ? name : `${at}.${name}`));
}

/** The leaves that a document gives, with a value of each. */
function given(value: unknown, schema: Schema, at = ""): [Leaf, unknown][] {
  if (schema.kind === "list") return (value as unknown[]).flatMap((item) => given(item, schema.of, `${at}[]`));
  if (schema.kind === "map") return Object.values(value as object).flatMap((item) => given(item, schema.of, `${at}{}`));
  if (schema.kind !== "object") return [[at, value]];
  return Object.entries(value as object)
    .filter(([name, item]) => item !== undefined && (at !== "" || !HEADER.includes(name)))
    .flatMap(([name, item]) => given(item, schema.fields[name]!, at === "" ? name : `${at}.${name}`));
}

/** What one run of a command was given, and all that could be seen of what it did. */
interface Run {
  name: string;
  documents: Document[];
  seen: string;
}

const at = new Rooted();
afterAll(() => at.remove());

/** A directory with a patch. */
function patches(): string {
  at.write("patches/kube-scheduler.yaml", "metadata: {labels: {patched: leaf-of-a-patch}}\n");
  return join(at.dir, "patches");
}

/** All that init leaves below a root, readable: what Secrets hold, and what certificates say. */
function written(root: string): string {
  const files = fs.readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => !path.includes("ledger"));
  return files
    .filter((path) => fs.statSync(join(root, path)).isFile() && !path.endsWith("configmap-kubeadm-config.yaml"))
    .map((path) => {
      const text = fs.readFileSync(join(root, path), "utf8");
      if (path.endsWith(".crt")) return certificate(path, text);
      const value = /-secret-.*\.yaml$/.test(path) ? readYaml(text) : undefined;
      const data = isPlain(value) ? Object.values((value["data"] ?? {}) as Record<string, string>) : [];
      return [path, text, ...data.map((secret) => Buffer.from(secret, "base64").toString())].join("\n");
    })
    .join("\n");
}

/** `file: names; N hours; key`, and the certificate itself. */
function certificate(path: string, pem: string): string {
  const { subjectAltName, validTo, publicKey } = new X509Certificate(pem);
  const hours = Math.round((Date.parse(validTo) - Date.now()) / HOUR);
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  const bits = modulusLength ?? (namedCurve === "prime256v1" ? 256 : namedCurve);
  return `${path}: ${subjectAltName}; ${hours} hours; ${publicKey.asymmetricKeyType} ${bits}\n${pem}`;
}

const text = (documents: Document[]) => documents.map((values) => writeYaml(values)).join("---\n");

const runs: Run[] = [];
async function runInit(name: string, documents: Document[], flags: string[] = [], exitCode = 0): Promise<void> {
  at.clear();
  const config = ["--config", at.write("config.yaml", text(documents)), "--rootfs", at.root];
  const { code, stdout, stderr } = await kubestick("init", ...config, "--ignore-preflight-errors", "all", ...flags);
  expect({ name, code, stderr }).toEqual({ name, code: exitCode, stderr });
  runs.push({ name, documents, seen: `${stdout}\n${stderr}\n${exitCode === 0 ? written(at.root) : ""}` });
}

/** A cluster to join: what it was asked, and by whom, is seen too. */
async function runJoins(): Promise<void> {
  let asked = "";
  const double = await apiDouble(
    ({ method, url, token, body }, response) => {
      asked += `${method} ${url.pathname} ${token ?? ""} ${body}\n`;
      const answer = answerTo(url.pathname);
      json(response, answer ? 200 : 404, answer ?? {});
    },
    { anyClient: true },
  );
  const answerTo = (path: string): object | undefined => {
    const data = (fields: Record<string, string>) => ({ metadata: { name: "x" }, data: fields });
    if (path === "/version") return { gitVersion: "v1.36.2" };
    if (path.endsWith("/cluster-info"))
      return clusterInfo(discoveryKubeconfig(double.server, double.ca), [{ id: "abcdef", secret: "0123456789abcdef" }]);
    if (path.endsWith("/kubelet-config")) return data({ kubelet: "kind: KubeletConfiguration\n" });
    if (path.endsWith("/kubeadm-config"))
      return data({
        ClusterConfiguration: text([document(cluster, { controlPlaneEndpoint: double.server.slice(8) })]),
      });
    if (path.endsWith("/kubeadm-certs")) return data(shared);
    return undefined;
  };
  // The CA of another cluster, made by init.
  const pki = (name: string) => fs.readFileSync(join(at.root, "etc/kubernetes/pki", name));
  const names = ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
  const shared = Object.fromEntries(
    [...names, "etcd/ca.crt", "etcd/ca.key"].map((name) => [
      name.replace("/", "-"),
      sealCertificate(pki(name), CERTIFICATE_KEY).toString("base64"),
    ]),
  );
  const found = at.write("found.conf", discoveryKubeconfig(double.server, double.ca));
  const pins = readCertificates(double.ca, "ca").map(caPin);
  try {
    for (const [name, documents] of [
      ["a control plane", controlPlane(double.server.replace("https://127.0.0.1", "localhost"), patches())],
      ["a worker", worker(found)],
      ["a plain worker", plainWorker(double.server.slice("https://".length), pins)],
    ] as const) {
      asked = "";
      const config = ["--config", at.write("join.yaml", text(documents))];
      const { code, stdout, stderr } = await kubestick("join", "--dry-run", ...config);
      expect({ name, code, stderr }).toEqual({ name, code: 0, stderr });
      runs.push({ name, documents, seen: `${stdout}\n${stderr}\n${asked}` });
    }
  } finally {
    double.close();
  }
}

beforeAll(async () => {
  await runInit("whole", whole(patches()), ["--upload-certs"]);
  await runInit("other", other());
  // Not dry, and so refused below another root.
  await runInit("real", real(), [], 2);
  await runInit("base", base());
  await runJoins();
}, 120_000);

const patched = (seen: string) => seen.includes("patched: leaf-of-a-patch");
const readOnly = (name: string) => (seen: string) =>
  new RegExp(`mountPath: /mount/of/${name}\\n *name: volume-${name}\\n *readOnly: true`).test(seen);
const neverPulled = (seen: string) => seen.includes("imagePullPolicy: Never");
const waits130 = (seen: string) => seen.includes("failureThreshold: 13\n");

/** How a field is seen whose value itself is not. */
const SHOWN: Record<string, (seen: string) => boolean> = {
  "InitConfiguration.bootstrapTokens[].ttl": (seen) =>
    [...seen.matchAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g)].some(
      ([time]) => Math.round((Date.parse(time) - Date.now()) / HOUR) === 77,
    ),
  "InitConfiguration.bootstrapTokens[].usages[]": (seen) =>
    seen.split("usage-bootstrap-signing").length !== seen.split("usage-bootstrap-authentication").length,
  "InitConfiguration.nodeRegistration.imagePullPolicy": neverPulled,
  "InitConfiguration.skipPhases[]": (seen) => !seen.includes('Creating a ConfigMap "kubelet-config"'),
  "InitConfiguration.patches.directory": patched,
  "InitConfiguration.timeouts.controlPlaneComponentHealthCheck": waits130,
  "InitConfiguration.dryRun": (seen) => seen.includes("this was a dry run"),
  "ClusterConfiguration.apiServer.extraVolumes[].readOnly": readOnly("api"),
  "ClusterConfiguration.controllerManager.extraVolumes[].readOnly": readOnly("manager"),
  "ClusterConfiguration.scheduler.extraVolumes[].readOnly": readOnly("scheduler"),
  "ClusterConfiguration.dns.disabled": (seen) => !seen.includes("Applied essential addon: CoreDNS"),
  "ClusterConfiguration.proxy.disabled": (seen) => !seen.includes("Applied essential addon: kube-proxy"),
  "ClusterConfiguration.encryptionAlgorithm": (seen) => /pki\/ca.crt: .* rsa 2048$/m.test(seen),
  "ClusterConfiguration.featureGates{}": (seen) => /pki\/ca.crt: .* ec 256$/m.test(seen),
  "ClusterConfiguration.certificateValidityPeriod": (seen) => /pki\/apiserver.crt: .* 777 hours/.test(seen),
  "ClusterConfiguration.caCertificateValidityPeriod": (seen) => /pki\/ca.crt: .* 7777 hours/.test(seen),
  "JoinConfiguration.nodeRegistration.imagePullPolicy": neverPulled,
  "JoinConfiguration.skipPhases[]": (seen) => !seen.includes("Would start the node agent"),
  "JoinConfiguration.patches.directory": patched,
  "JoinConfiguration.timeouts.controlPlaneComponentHealthCheck": waits130,
  "JoinConfiguration.controlPlane.certificateKey": (seen) => seen.includes("Downloading the certificates"),
};

/** Fields that a dry run has no use for, or whose use leaves no trace; by name in the sources they are looked for instead. */
const UNSEEN = [
  "InitConfiguration.nodeRegistration.ignorePreflightErrors[]",
  "InitConfiguration.nodeRegistration.imagePullSerial",
  "InitConfiguration.timeouts.kubeletHealthCheck",
  "InitConfiguration.timeouts.kubernetesAPICall",
  "JoinConfiguration.nodeRegistration.ignorePreflightErrors[]",
  "JoinConfiguration.nodeRegistration.imagePullSerial",
  "JoinConfiguration.discovery.bootstrapToken.caCertHashes[]",
  "JoinConfiguration.discovery.bootstrapToken.unsafeSkipCAVerification",
  "JoinConfiguration.timeouts.kubeletHealthCheck",
  "JoinConfiguration.timeouts.kubernetesAPICall",
  "JoinConfiguration.timeouts.etcdAPICall",
  "JoinConfiguration.timeouts.tlsBootstrap",
  "JoinConfiguration.timeouts.discovery",
  "JoinConfiguration.dryRun",
];

/** The code of the commands and of all but the configuration's own modules, without its comments. */
const sources = (): string =>
  ["lib", "cmd"]
    .flatMap((top) => fs.readdirSync(join(HERE, top), { recursive: true, encoding: "utf8" }).map((f) => join(top, f)))
    .filter((path) => path.endsWith(".ts") && !path.startsWith("lib/config/"))
    .map((path) => fs.readFileSync(join(HERE, path), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ""))
    .join("\n");

const documentOf = (kind: Kind, run: Run) => run.documents.find((values) => values["kind"] === kind.kind);

/** Whether the traces of a run show one of a field's values. */
function shows(name: string, values: unknown[], { seen }: Run): boolean {
  const special = SHOWN[name];
  if (special) return special(seen);
  const scalars = (value: unknown): unknown[] => (isPlain(value) ? Object.values(value).flatMap(scalars) : [value]);
  // `true` and its like stand everywhere.
  return values
    .flatMap(scalars)
    .some((value) => String(value).length > 3 && value !== true && seen.includes(String(value)));
}

for (const kind of [init, cluster, joining]) {
  describe(`each field of ${kind.kind} does something, or is said to do nothing`, () => {
    for (const leaf of leavesOf(kind.schema)) {
      test(leaf, () => {
        const name = `${kind.kind}.${leaf}`;
        const declared = kind.noEffect.find(({ path }) => leaf === path || leaf === `${path}[]`);
        const giving = runs.flatMap((run) => {
          const document = documentOf(kind, run) ?? {};
          const values = given(document, kind.schema).flatMap(([at, value]) => (at === leaf ? [value] : []));
          const nothing = declared !== undefined && (declared.when?.(document as never) ?? true);
          return values.length > 0 ? [{ run, values, nothing }] : [];
        });
        // A new field must be given to one of the runs.
        expect(giving).not.toEqual([]);
        for (const { run, nothing } of giving) {
          const said = run.seen.replace(/\[\d+\]/g, "[]").includes(`${name.replace(/\[\]$/, "")} has no effect here`);
          expect({ run: run.name, said }).toEqual({ run: run.name, said: nothing });
        }
        const effective = giving.filter(({ nothing }) => !nothing);
        if (effective.length > 0 && !UNSEEN.includes(name)) {
          const seen = effective.some(
            ({ run, values }) =>
              shows(name, values, run) &&
              // What every run shows, whatever it was given, shows nothing.
              runs.some((other) => other !== run && documentOf(kind, other) && !shows(name, values, other)),
          );
          expect({ seen, values: effective.map(({ values }) => values) }).toEqual({
            seen: true,
            values: expect.anything(),
          });
        }
        if (UNSEEN.includes(name))
          expect(sources()).toMatch(new RegExp(`\\b${leaf.replace("[]", "").split(".").at(-1)}\\b`));
      });
    }
  });
}

test("nothing is excused that is no field", () => {
  const all = [init, cluster, joining].flatMap((kind) => leavesOf(kind.schema).map((leaf) => `${kind.kind}.${leaf}`));
  expect([...Object.keys(SHOWN), ...UNSEEN].filter((name) => !all.includes(name))).toEqual([]);
});
