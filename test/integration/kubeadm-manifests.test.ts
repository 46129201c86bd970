import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tryRun } from "../../lib/host/process.ts";
import { readYaml } from "../../lib/yaml/read.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { binary, hasBinary } from "../support/binaries.ts";
import { differences } from "../support/compare.ts";
import { expectDone } from "../support/done.ts";
import { Random } from "../support/mutate.ts";
import { Rooted } from "../support/rooted.ts";

/** kubeadm writes below another root as root only; an older one reads other configurations. */
const missing =
  process.getuid?.() !== 0 ||
  !hasBinary("kubeadm") ||
  !/^v1\.3[67]\./.test(tryRun(binary("kubeadm"), ["version", "-o", "short"]).stdout);

let [ours, theirs]: Rooted[] = [];
beforeEach(() => {
  [ours, theirs] = [new Rooted(), new Rooted()];
});
afterEach(() => {
  ours!.remove();
  theirs!.remove();
});

const STRINGS = [
  "yes",
  "no",
  "0b11",
  "1_000",
  "a b",
  "x: y",
  "- x",
  "é",
  "l1\nl2",
  "  lead",
  "trail ",
  "#c",
  "'q'",
  '"dq"',
  "~",
];
const MORE = [
  "",
  "null",
  "2026-01-01",
  "12:30",
  "a\tb",
  "=",
  "<<",
  "%x",
  "@a",
  "*a",
  "|",
  "[x]",
  "123",
  "1e3",
  "0o17",
  ".5",
  "0x1F",
];

/** A configuration with some of the fields that reach static pods. */
function configuration(random: Random): object[] {
  const maybe = <T>(percent: number, value: () => T) => (random.below(100) < percent ? value() : undefined);
  const text = () => random.pick([...STRINGS, ...MORE]);
  const some = <T>(value: (i: number) => T) => Array.from({ length: random.below(4) }, (_, i) => value(i));
  const v6 = random.below(4) === 0;
  const args = (names: string[], values: Record<string, string[]> = {}) =>
    maybe(60, () =>
      some(() => {
        const name = random.pick(names);
        return { name, value: values[name] ? random.pick(values[name]) : text() };
      }),
    );
  const component = (names: string[], values?: Record<string, string[]>) => ({
    extraArgs: args(names, values),
    extraEnvs: maybe(40, () => some(() => ({ name: random.pick(["A", "B", "HTTPS_PROXY", "zed"]), value: text() }))),
    extraVolumes: maybe(30, () =>
      some((i) => ({
        name: i === 0 ? random.pick(["k8s-certs", "audit"]) : `v${i}`,
        hostPath: `/var/x${i}`,
        mountPath: `/mnt/y${i}`,
        readOnly: maybe(50, () => random.below(2) === 0),
        pathType: maybe(50, () => random.pick(["", "File", "DirectoryOrCreate"])),
      })),
    ),
  });
  const bind = { "bind-address": ["0.0.0.0", "127.0.0.1", "::", "10.0.0.5"] };
  const metrics = [
    "http://0.0.0.0:2381",
    "https://10.0.0.5:2399,http://x",
    "http://[::1]:80",
    "http://127.0.0.1",
    "no url",
  ];
  const local = {
    dataDir: maybe(40, () => "/srv/etcd"),
    imageTag: maybe(30, () => "3.6.5-0"),
    extraArgs: args(["listen-metrics-urls", "advertise-client-urls", "name"], { "listen-metrics-urls": metrics }),
    extraEnvs: maybe(40, () => [{ name: "A", value: text() }]),
  };
  const external = {
    endpoints: ["https://10.0.0.7:2379", "https://10.0.0.8:2379"],
    caFile: random.pick(["/etc/etcd/ca.crt", "/etc/kubernetes/pki/etcd/ca.crt", "/a/ca.crt"]),
    certFile: random.pick(["/etc/etcd/c.crt", "/etc/etcd/sub/c.crt", "/b/c.crt"]),
    keyFile: "/etc/etcd/c.key",
  };
  return [
    {
      apiVersion: "kubeadm.k8s.io/v1beta4",
      kind: "InitConfiguration",
      localAPIEndpoint: {
        advertiseAddress: v6 ? "fd00:7::5" : "10.0.0.5",
        bindPort: maybe(30, () => random.pick([0, 8443])),
      },
      nodeRegistration: {
        name: random.pick(["node1", "Node1", " NODE ", "a.b"]),
        criSocket: "unix:///run/containerd/containerd.sock",
      },
      timeouts: maybe(40, () => ({ controlPlaneComponentHealthCheck: random.pick(["2m0s", "15s", "4m1s", "1.5m"]) })),
    },
    {
      apiVersion: "kubeadm.k8s.io/v1beta4",
      kind: "ClusterConfiguration",
      kubernetesVersion: random.pick(["v1.36.2", "1.36.1"]),
      clusterName: maybe(20, () => random.pick(["no", "prod-1", "x y"])),
      imageRepository: maybe(20, () => "10.0.0.1:5000/k8s"),
      certificatesDir: maybe(20, () => "/srv/pki"),
      networking: {
        serviceSubnet: v6 ? "fd00:10:96::/112" : maybe(30, () => "10.96.0.0/16,fd00:10:96::/112"),
        podSubnet: v6 ? "fd00:10:244::/56" : "10.244.0.0/16",
        dnsDomain: maybe(20, () => "my.lan"),
      },
      controlPlaneEndpoint: maybe(30, () => random.pick(["cp.lan", "cp.lan:6444"])),
      apiServer: component(["v", "authorization-mode", "audit-log-path", "feature-gates", "etcd-servers"]),
      controllerManager: component(["v", "bind-address", "feature-gates"], bind),
      scheduler: component(["v", "bind-address", "config"], bind),
      etcd: random.pick([undefined, { local }, { external }]),
    },
  ];
}

describe.skipIf(missing)("beside a real kubeadm", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`static pods are the same: configuration ${seed}`, async () => {
      const documents = configuration(new Random(seed));
      const text = documents.map((document) => writeYaml(document)).join("---\n");
      for (const { root } of [ours!, theirs!])
        for (const dir of ["etc/kubernetes", "etc/ca-certificates"]) mkdirSync(join(root, dir), { recursive: true });
      const external = "external" in ((documents[1] as { etcd?: object }).etcd ?? {});
      theirs!.write("root/config.yaml", text);
      for (const words of [["control-plane", "all"], ...(external ? [] : [["etcd", "local"]])]) {
        expect(await ours!.phase(text, ...words)).toMatchObject({ code: 0 });
        const flags = ["--config", "/config.yaml", "--rootfs", theirs!.root];
        expectDone(tryRun(binary("kubeadm"), ["init", "phase", ...words, ...flags]), { text });
      }
      const manifests = "etc/kubernetes/manifests";
      expect(readdirSync(join(ours!.root, manifests))).toEqual(readdirSync(join(theirs!.root, manifests)));
      for (const name of readdirSync(join(theirs!.root, manifests))) {
        const read = (root: string) => readYaml(readFileSync(join(root, manifests, name), "utf8"));
        const found = differences(read(ours!.root), read(theirs!.root));
        expect({ name, text, found }).toEqual({ name, text, found: [] });
      }
    });
  }
});
