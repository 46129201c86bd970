import { afterAll, expect, spyOn, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMap, isScalar, isSeq, type Node, parseAllDocuments, type YAMLMap } from "yaml";
import { main } from "../../cmd/main.ts";

const VALID = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 24h0m0s
  usages: [signing, authentication]
  groups: ["system:bootstrappers:kubeadm:default-node-token"]
nodeRegistration:
  name: cp1
  criSocket: unix:///run/containerd/containerd.sock
  taints:
  - key: node-role.kubernetes.io/control-plane
    effect: NoSchedule
  kubeletExtraArgs:
  - name: v
    value: "2"
  imagePullSerial: true
localAPIEndpoint:
  advertiseAddress: 192.0.2.10
  bindPort: 6443
timeouts:
  kubernetesAPICall: 1m0s
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.2
controlPlaneEndpoint: cluster.lan:6443
certificatesDir: /etc/kubernetes/pki
encryptionAlgorithm: ECDSA-P256
imageRepository: registry.k8s.io
networking:
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
  dnsDomain: cluster.local
apiServer:
  certSANs: [board.lan, 192.0.2.11]
  extraVolumes:
  - name: audit
    hostPath: /var/log/audit
    mountPath: /var/log/audit
    pathType: DirectoryOrCreate
etcd:
  local:
    dataDir: /var/lib/etcd
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.96.0.10]
maxPods: 50
failSwapOn: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
conntrack:
  maxPerCore: 0
`;

const work = mkdtempSync(join(tmpdir(), "kubestick-malformed-"));
afterAll(() => rmSync(work, { recursive: true }));

/** Every place in the valid text where a mapping entry stands, with what can be done to it. */
function mutations(): { name: string; text: string }[] {
  const out: { name: string; text: string }[] = [];
  const cut = (start: number, end: number, replacement: string) =>
    VALID.slice(0, start) + replacement + VALID.slice(end);
  const walk = (node: unknown, path: string): void => {
    if (isSeq(node)) for (const [i, item] of node.items.entries()) walk(item, `${path}[${i}]`);
    if (!isMap(node)) return;
    for (const pair of (node as YAMLMap).items) {
      const key = pair.key as Node & { value: string };
      const value = pair.value as Node;
      const at = `${path}.${key.value}`;
      const [keyStart, keyEnd] = key.range!;
      out.push({ name: `${at} misspelt`, text: cut(keyStart, keyEnd, `${key.value}X`) });
      const [start, end] = value.range!;
      if (isScalar(value)) {
        out.push({ name: `${at} a mapping`, text: cut(start, end, "{no: such}") });
        out.push({ name: `${at} a list`, text: cut(start, end, "[wrong]") });
        out.push({ name: `${at} unclosed`, text: cut(start, end, '"unclosed') });
        const wrong = typeof value.value === "string" ? "12" : '"12"';
        out.push({ name: `${at} of another type`, text: cut(start, end, wrong) });
        const flow = VALID.lastIndexOf("\n", keyStart);
        if (/^[\s-]*$/.test(VALID.slice(flow + 1, keyStart))) {
          const indent = " ".repeat(keyStart - flow - 1);
          out.push({ name: `${at} twice`, text: cut(end, end, `\n${indent}${key.value}: ${VALID.slice(start, end)}`) });
        }
        if (
          /Subnet|Address|dnsDomain|token$|controlPlaneEndpoint|Version$|criSocket|Dir$|ttl|effect|encryption|pathType|mode$/.test(
            at,
          )
        ) {
          out.push({ name: `${at} nonsense`, text: cut(start, end, '"not ! valid"') });
        }
      } else out.push({ name: `${at} a scalar`, text: cut(start, end, "scalar\n") });
      walk(value, at);
    }
  };
  for (const doc of parseAllDocuments(VALID)) walk((doc as { contents: unknown }).contents, "");
  for (const [name, from, to] of [
    ["overlapping networks", "10.244.0.0/16", "10.96.0.0/16"],
    ["a pod network too small", "10.244.0.0/16", "10.244.0.0/28"],
    ["a service network too large", "10.96.0.0/12", "10.0.0.0/8"],
    ["a bad SAN", "board.lan", "https://board.lan"],
    ["a token of the wrong shape", "abcdef.0123456789abcdef", "ABCDEF.0123456789abcdef"],
    ["a port out of range", "bindPort: 6443", "bindPort: 66443"],
    ["both etcds", "  local:\n", "  external: {endpoints: ['https://10.0.0.5:2379']}\n  local:\n"],
    [
      "the same kind twice",
      "kind: KubeProxyConfiguration",
      "kind: KubeProxyConfiguration\n---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration",
    ],
    ["a tab for indentation", "  dnsDomain", "\tdnsDomain"],
    ["a version to look up", "v1.36.2", "stable-1"],
    ["an alias bomb", "certSANs: [board.lan, 192.0.2.11]", "certSANs: &a [*a, *a]"],
    ["a binary file", "kind: KubeletConfiguration", "kind: \u0000\u0001"],
  ] as const) {
    out.push({ name, text: VALID.replace(from, to) });
  }
  return out;
}

async function runInit(text: string, name: string) {
  const file = join(work, "config.yaml");
  const root = join(work, "root");
  writeFileSync(file, text);
  let printed = "";
  const capture = (chunk: unknown) => {
    printed += String(chunk);
    return true;
  };
  const spies = [
    spyOn(process.stderr, "write").mockImplementation(capture),
    spyOn(process.stdout, "write").mockImplementation(capture),
  ];
  try {
    const code = await main(["init", "--dry-run", "--rootfs", root, "--config", file]);
    return { name, code, printed, written: existsSync(root) ? readdirSync(root, { recursive: true }) : [], file };
  } finally {
    for (const spy of spies) spy.mockRestore();
    rmSync(root, { recursive: true, force: true });
  }
}

test("the configuration that the mutations start from is good", async () => {
  const { code, written } = await runInit(VALID, "valid");
  expect(code).toBe(0);
  expect(written.length).toBeGreaterThan(50);
});

test("200 malformed configurations: exit code 2, file, line and path, no stack trace, nothing written", async () => {
  const all = mutations();
  expect(all.length).toBeGreaterThanOrEqual(200);
  const failures: unknown[] = [];
  for (const { name, text } of all) {
    const { code, printed, written, file } = await runInit(text, name);
    const located = new RegExp(`${file}:[1-9]\\d*: [A-Za-z]`).test(printed);
    const trace = /\n\s+at .*[(:]\d+/.test(printed);
    if (code !== 2 || !located || trace || written.length > 0)
      failures.push({ name, code, located, trace, written, printed });
  }
  expect(failures).toEqual([]);
});
