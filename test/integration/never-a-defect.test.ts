import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { KubestickError } from "../../lib/errors.ts";
import { Files } from "../../lib/host/files.ts";
import { readKubeconfig, withServer } from "../../lib/kubeconfig/kubeconfig.ts";
import { localEndpoint, openJoin } from "../../lib/phases/join/context.ts";
import { FACTS } from "../support/config.ts";
import { brokeDown, kubestick } from "../support/kubestick.ts";
import { mutateStructure, mutateText, Random } from "../support/mutate.ts";
import { clusterText, initText, Rooted } from "../support/rooted.ts";
import { silentUi } from "../support/ui.ts";

/** How many times as many mutants as usual; ten thousands of each kind were run before this was committed. */
const TIMES = Number(process.env["KUBESTICK_FUZZ_TIMES"] ?? 1);

const CONFIG = `${initText(`  criSocket: unix:///run/containerd/containerd.sock
  taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]
  kubeletExtraArgs: [{name: v, value: "2"}]
bootstrapTokens:
- {token: abcdef.0123456789abcdef, ttl: 24h0m0s, usages: [signing, authentication], groups: ["system:bootstrappers:a"]}
timeouts: {kubernetesAPICall: 1m0s, controlPlaneComponentHealthCheck: 4m0s}
`)}${clusterText(`controlPlaneEndpoint: cluster.lan:6443
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12, dnsDomain: cluster.local}
apiServer:
  certSANs: [board.lan, 192.0.2.11]
  extraArgs: [{name: v, value: "4"}]
  extraEnvs: [{name: A, value: b}]
  extraVolumes: [{name: audit, hostPath: /var/log/audit, mountPath: /var/log/audit, pathType: DirectoryOrCreate}]
etcd: {local: {dataDir: /var/lib/etcd, extraArgs: [{name: listen-metrics-urls, value: "http://127.0.0.1:2381"}]}}
featureGates: {NodeLocalCRISocket: true}
certificateValidityPeriod: 8760h0m0s
`)}---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.96.0.10]
maxPods: 50
evictionHard: {memory.available: 5%}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {maxPerCore: 0}
`;

const JOIN = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
caCertPath: /etc/kubernetes/pki/ca.crt
nodeRegistration: {name: n1, criSocket: /run/containerd/containerd.sock, taints: [{key: a/b, effect: NoSchedule}]}
discovery:
  bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: "10.0.0.1:6443", caCertHashes: ["sha256:${"0".repeat(64)}"]}
  tlsBootstrapToken: abcdef.0123456789abcdef
controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.0.2, bindPort: 6443}, certificateKey: ${"a".repeat(64)}}
timeouts: {discovery: 1s}
patches: {directory: /patches}
`;

const PATCHES: Record<string, string> = {
  "kube-apiserver.yaml": `metadata: {labels: {a: b}, annotations: {x: y}}
spec:
  containers:
  - {name: kube-apiserver, env: [{name: A, value: b}, {name: C, $patch: delete}], ports: [{containerPort: 6443, name: p}]}
  volumes: [{name: v, hostPath: {path: /x}}]
`,
  "kube-scheduler+merge.yaml": "metadata: {labels: {a: null}}\nspec: {priority: 1, containers: [{name: x}]}\n",
  "kube-controller-manager+json.yaml": `- {op: add, path: /metadata/labels/x, value: y}
- {op: copy, from: /spec, path: /metadata/annotations}
- {op: move, from: /spec/containers/0, path: /spec/containers/-}
- {op: test, path: /kind, value: Pod}
- {op: remove, path: /spec/volumes}
- {op: replace, path: /spec/hostNetwork, value: false}
`,
};

const ENVIRONMENT = [
  "HTTPS_PROXY",
  "http_proxy",
  "NO_PROXY",
  "ALL_PROXY",
  "KUBECONFIG",
  "PATH",
  "HOME",
  "LANG",
  "TERM",
  "COLUMNS",
  "TZ",
  "NO_COLOR",
  "KUBESTICK_X",
  "TMPDIR",
];
const SETTINGS = [
  "",
  "0",
  "1",
  "x",
  "proxy:3128",
  "http://p:3128",
  "http://",
  "://",
  "http://[",
  "socks5://h:1",
  "p:99999",
  "10.0.0.0/8,.svc",
  ",,,",
  "/nonexistent",
  "/dev/null",
  "relative",
  "dumb",
  "-5",
  "1e9",
  "C.UTF-8",
  "\u001b[31m",
  "a\nb",
  "::",
  "x".repeat(5000),
];

let at: Rooted;
let whole: string;
beforeAll(async () => {
  at = new Rooted();
  // The files of a whole control plane, to be changed one at a time.
  expect(await at.dryRun(CONFIG)).toMatchObject({ code: 0 });
  whole = join(at.dir, "whole");
  cpSync(at.root, whole, { recursive: true });
});
afterAll(() => at.remove());

/** Tries mutants of a text; each failure is kept with what led to it, so that it can be run again. */
async function tryMutants(
  count: number,
  text: string,
  attempt: (mutant: string) => Promise<string | undefined>,
  seed = 1,
) {
  const random = new Random(seed);
  const failures: { mutant: string; failure: string }[] = [];
  for (let i = 0; i < count * TIMES; i++) {
    const mutant = random.below(2) === 0 ? mutateStructure(text, random) : mutateText(text, random);
    const failure = await attempt(mutant);
    if (failure) failures.push({ mutant, failure });
  }
  expect(failures.slice(0, 3)).toEqual([]);
}

const broken = (out: { stdout: string; stderr: string }) =>
  brokeDown(out.stdout + out.stderr) ? out.stderr.slice(-2_000) : undefined;

/** What was thrown that is no error for a person. */
async function thrown(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error instanceof KubestickError ? undefined : String((error as Error).stack);
  }
}

describe("no input ends in the words for a bug", () => {
  test("configurations of init", () =>
    tryMutants(60, CONFIG, async (mutant) => {
      at.clear();
      return broken(await at.phase(mutant, mutant.length % 2 === 0 ? "control-plane" : "etcd"));
    }));

  test("configurations of init, the whole of it dry", () =>
    tryMutants(15, CONFIG, async (mutant) => {
      at.clear();
      return broken(await at.dryRun(mutant));
    }));

  test("configurations of join", () =>
    tryMutants(600, JOIN, (mutant) =>
      thrown(() => {
        const { join: config, problems } = parseConfig(mutant, "f", "join");
        if (!config || problems.length > 0) return;
        const asked = { ignorePreflightErrors: new Set<string>(), syncTime: false };
        const host = { facts: FACTS, files: new Files(at.root), ui: silentUi(), dryRun: true };
        const { node, discovery } = openJoin(config, { ...host, bundle: undefined, environment: {} }, asked);
        const own = localEndpoint(config, FACTS, "10.96.0.0/12");
        return [discovery.endpoint, node.families, discovery.bootstrapToken, own, node.patches()];
      }),
    ));

  for (const [name, text] of Object.entries(PATCHES))
    test(`patches: ${name}`, () =>
      tryMutants(30, text, async (mutant) => {
        at.clear();
        at.write(`patches/${name}`, mutant);
        const component = /^kube-([a-z-]+)/.exec(name)![1]!;
        const out = await at.phase(CONFIG, "control-plane", component, "--patches", join(at.dir, "patches"));
        rmSync(join(at.dir, "patches"), { recursive: true });
        return broken(out);
      }));

  test("kubeconfigs that are named", () => {
    const text = readFileSync(join(whole, "etc/kubernetes/admin.conf"), "utf8").replace(
      /cluster\.lan:\d+/,
      "127.0.0.1:1",
    );
    return tryMutants(60, text, (mutant) =>
      thrown(async () => {
        withServer(mutant, "https://10.0.0.1:6443", "f");
        const client = new ApiClient(
          readKubeconfig(mutant, "f", () => undefined),
          { callTimeoutMs: 20 },
        );
        try {
          await client.get("v1", "Node", "x");
        } finally {
          await client.close();
        }
      }),
    );
  });

  for (const [file, words] of [
    ["etc/kubernetes/admin.conf", ["kubeconfig", "admin"]],
    ["etc/kubernetes/pki/ca.crt", ["certs", "ca"]],
    ["etc/kubernetes/pki/apiserver.key", ["certs", "apiserver"]],
    ["var/lib/kubestick/ledger.json", ["control-plane", "scheduler"]],
    ["etc/resolv.conf", ["control-plane", "scheduler"]],
    ["var/lib/kubelet/config.yaml", ["control-plane", "scheduler"]],
  ] as const)
    test(`a file of the host: ${file}`, async () => {
      const text = existsSync(join(whole, file)) ? readFileSync(join(whole, file), "utf8") : "nameserver 10.0.0.1\n";
      at.clear();
      cpSync(whole, at.root, { recursive: true });
      mkdirSync(join(at.root, file, ".."), { recursive: true });
      await tryMutants(30, text, async (mutant) => {
        writeFileSync(join(at.root, file), mutant);
        return broken(await at.phase(CONFIG, ...words));
      });
    });

  test("environment variables", async () => {
    const random = new Random(3);
    const before = { ...process.env };
    const config = at.write("config.yaml", CONFIG);
    for (let i = 0; i < 40 * TIMES; i++) {
      const set: Record<string, string> = {};
      for (let j = random.below(3); j >= 0; j--) set[random.pick(ENVIRONMENT)] = random.pick(SETTINGS);
      const words = random.pick([
        ["version"],
        ["--help"],
        ["init", "phase", "control-plane", "--config", config, "--rootfs", at.root],
        ["token", "generate"],
        ["token", "delete"],
        ["lab", "status"],
        ["verify", at.dir],
      ]);
      at.clear();
      Object.assign(process.env, set);
      const failure = broken(await kubestick(...words));
      for (const name of Object.keys(set))
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      expect({ set, words, failure }).toEqual({ set, words, failure: undefined });
    }
  });
});
