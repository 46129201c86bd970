import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { kubeProxyConfig, kubeProxyObjects } from "../../lib/addons/kube-proxy.ts";
import { companionsOf } from "../../lib/config/companions.ts";
import { initConfig } from "../../lib/config/init-config.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { isRemovedKubeletFlag, removedEtcdFlag } from "../../lib/config/removed-flags.ts";
import { KUBELET_REMOVED_FLAGS } from "../../lib/constants/removed-flags.ts";
import { COMPANIONS } from "../../lib/constants/upstream.ts";
import {
  KUBERNETES_VERSION,
  MINIMUM_CONTROL_PLANE_VERSION,
  NEWEST_CONTROL_PLANE_VERSION,
} from "../../lib/constants/versions.ts";
import { Files } from "../../lib/host/files.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { requiredImages } from "../../lib/manifests/images.ts";
import { adminAccess } from "../../lib/phases/control-plane.ts";
import { type InitAsked, openInit } from "../../lib/phases/init/context.ts";
import { INIT_CHECKS } from "../../lib/preflight/init.ts";
import { removedKubeletFlags } from "../../lib/preflight/kubelet.ts";
import { controlPlaneListening, listeningInodes } from "../../lib/preflight/ports.ts";
import { hasSkewRule, skewOf } from "../../lib/util/skew.ts";
import { compareVersions, isSince, parseVersion } from "../../lib/util/version.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { testCa } from "../support/api-double.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";
import { silentUi } from "../support/ui.ts";

const TOKEN = "abcdef.0123456789abcdef";
const cluster = (version: string, more = "") => `${MINIMAL}kubernetesVersion: ${version}\n${more}`;
const problems = (text: string) => parseConfig(text, "f").problems.map(({ path, message }) => `${path}: ${message}`);

describe("what goes with a version", () => {
  test("each minor version that is deployed has its own, as its kubeadm has them", () => {
    const minors = [MINIMUM_CONTROL_PLANE_VERSION, KUBERNETES_VERSION, NEWEST_CONTROL_PLANE_VERSION].map((version) =>
      version.replace(/^v(\d+\.\d+)\..*/, "$1"),
    );
    expect(minors).toEqual(["1.35", "1.36", "1.37"]);
    for (const minor of minors) expect(companionsOf(`v${minor}.9`)).toBe(COMPANIONS[minor]!);
    // kubeadm upgrade plan starts a Job of this image.
    expect(companionsOf("v1.36.2")).toMatchObject({ etcd: "3.6.8-0", coredns: "v1.14.2", pause: "3.10.2" });
    expect(companionsOf("v1.37.1")).toMatchObject({ etcd: "3.7.0-0", coredns: "v1.14.6", pause: "3.10.2" });
    expect(companionsOf("v1.20.1")).toBe(COMPANIONS["1.34"]!);
    expect(companionsOf("v1.99.0-alpha.1")).toBe(COMPANIONS["1.37"]!);
    expect(companionsOf("v2.0.0")).toBe(COMPANIONS["1.37"]!);
  });

  test("init deploys them, and the user's tags before them", () => {
    const images = requiredImages(configFrom(cluster("v1.37.1")).cluster);
    expect(images).toContain("registry.k8s.io/etcd:3.7.0-0");
    expect(images).toContain("registry.k8s.io/coredns/coredns:v1.14.6");
    const own = requiredImages(configFrom(cluster("v1.37.1", "dns: {imageTag: v9}\n")).cluster);
    expect(own).toContain("registry.k8s.io/coredns/coredns:v9");
  });

  test("preflight takes 1.35 to 1.37, and no other", async () => {
    const check = INIT_CHECKS.find(({ name }) => name === "KubernetesVersion")!;
    const found = async (version: string) =>
      (await check.run({ config: configFrom(cluster(version)) } as never)).map((f) => f.message);
    for (const version of ["v1.35.0", "v1.36.2", "v1.37.0-rc.1", "v1.37.9"]) expect(await found(version)).toEqual([]);
    for (const version of ["v1.34.10", "v1.38.0", "v2.36.0"])
      expect(await found(version)).toEqual([`this kubestick deploys Kubernetes v1.35.0 to v1.37.x, not ${version}`]);
  });

  test("versions are ordered as semver has it, not as text", () => {
    const ordered = ["v1.36.9", "v1.36.10", "v1.37.0-alpha.2", "v1.37.0-rc.2", "v1.37.0-rc.10", "v1.37.0", "v2.0.0"];
    const parsed = ordered.toReversed().map((text) => parseVersion(text)!);
    expect(parsed.sort(compareVersions)).toEqual(ordered.map((text) => parseVersion(text)!));
    expect(compareVersions(parseVersion("v1.36.2+k3s1")!, parseVersion("1.36.2")!)).toBe(0);
  });

  test("a pre-release counts as the release it leads to", () => {
    expect(isSince("v1.37.0-alpha.1", "v1.37.0")).toBe(true);
    expect(isSince("v1.36.9", "v1.37.0")).toBe(false);
    expect(isSince("3.7.0-0", "3.7.0")).toBe(true);
    expect(isSince("latest", "3.7.0")).toBe(true);
    expect(parseVersion("latest")).toBeUndefined();
  });
});

describe("the version skew policy", () => {
  test("a kubelet is up to three minors older than its API server, and never newer", () => {
    for (const good of ["v1.33.0", "v1.33.12", "v1.35.1", "v1.36.0", "v1.36.99", "1.36.2", "v1.36.0-rc.1"])
      expect([good, skewOf("kubelet", good, "v1.36.2")]).toEqual([good, undefined]);
    for (const old of ["v1.32.9", "v1.5.0", "v0.99.0"]) expect(skewOf("kubelet", old, "v1.36.2")).toBe("older");
    for (const late of ["v1.37.0", "v1.37.0-alpha.1", "v2.0.0", "v2.36.2"])
      expect(skewOf("kubelet", late, "v1.36.2")).toBe("newer");
  });

  test("kubectl is one minor older or newer", () => {
    for (const good of ["v1.35.0", "v1.36.2", "v1.37.9"]) expect(skewOf("kubectl", good, "v1.36.2")).toBeUndefined();
    expect(skewOf("kubectl", "v1.34.9", "v1.36.2")).toBe("older");
    expect(skewOf("kubectl", "v1.38.0", "v1.36.2")).toBe("newer");
  });

  test("the control plane's version is that of the API server, and what is no version has no skew", () => {
    expect(skewOf("kubelet", "v1.36.0", "v1.35.9")).toBe("newer");
    expect(skewOf("kubelet", "latest", "v1.36.2")).toBeUndefined();
    expect(skewOf("kubelet", "v1.36.2", "")).toBeUndefined();
    expect(["kubelet", "kubectl", "containerd", "toString"].map(hasSkewRule)).toEqual([true, true, false, false]);
  });
});

describe("Kubernetes 1.37", () => {
  test("etcd's flags that are gone are found, with what to write", () => {
    const args = (names: string[]) =>
      `etcd: {local: {dataDir: /e, extraArgs: [${names.map((n) => `{name: ${n}, value: "1"}`).join(", ")}]}}\n`;
    const gone = ["experimental-initial-corrupt-check", "experimental-compaction-batch-limit", "discovery"];
    expect(problems(cluster("v1.36.2", args(gone)))).toEqual([]);
    expect(problems(cluster("v1.37.1", args([...gone, "snapshot-count"])))).toEqual([
      'ClusterConfiguration.etcd.local.extraArgs[0]: "experimental-initial-corrupt-check" is gone since etcd 3.7.0, which does not start with it; write feature-gates with InitialCorruptCheck=true or false',
      'ClusterConfiguration.etcd.local.extraArgs[1]: "experimental-compaction-batch-limit" is gone since etcd 3.7.0, which does not start with it; write compaction-batch-limit',
      'ClusterConfiguration.etcd.local.extraArgs[2]: "discovery" is gone since etcd 3.7.0, which does not start with it; remove it',
    ]);
    // The image decides, not the version of Kubernetes.
    const own = args(gone).replace("dataDir: /e", "dataDir: /e, imageTag: 3.6.11-0");
    expect(problems(cluster("v1.37.1", own))).toEqual([]);
    expect(removedEtcdFlag("3.7.1-0", "experimental-anything")).toContain("write anything");
    expect(removedEtcdFlag("3.7.1-0", "discovery-srv")).toBeUndefined();
  });

  test("the version that a bundle gives is looked at too, when the file says none", () => {
    const parsed = parseConfig(
      `${MINIMAL}etcd: {local: {dataDir: /e, extraArgs: [{name: experimental-memory-mlock, value: "true"}]}}\n`,
      "f",
    );
    expect(parsed.problems).toEqual([]);
    parsed.cluster = { ...parsed.cluster, kubernetesVersion: "v1.37.1" };
    const host = { hostname: () => "a", advertiseAddress: () => "10.0.0.1", newToken: () => TOKEN };
    expect(() => initConfig(parsed, host)).toThrow(/f:1?\d: .*experimental-memory-mlock.*gone since etcd 3\.7\.0/);
  });

  test("a kubelet's flags that are gone are refused for the kubelet that will run", () => {
    expect(KUBELET_REMOVED_FLAGS).toHaveLength(18);
    const node = (...names: string[]) => ({ kubeletExtraArgs: names.map((name) => ({ name, value: "x" })) });
    const given = node("boot_id_file", "containerd-namespace", "housekeeping-interval", "v");
    expect(removedKubeletFlags(given, "v1.36.9")).toEqual([]);
    expect(removedKubeletFlags(given, "v1.37.0-rc.0")).toEqual([
      {
        level: "error",
        message:
          "kubelet v1.37.0-rc.0 does not start with the flags boot_id_file, containerd-namespace, which cAdvisor once brought in",
        fix: "take them out of nodeRegistration.kubeletExtraArgs",
      },
    ]);
    expect(removedKubeletFlags({}, "v1.37.0")).toEqual([]);
    expect(isRemovedKubeletFlag("v1.37.0", "storage_driver_user")).toBe(true);
  });

  test("kube-proxy's mode is written out, and the user's is kept", () => {
    const mode = (version: string, more = "") =>
      kubeProxyConfig(configFrom(`${cluster(version)}${more}`), { max: true, timeouts: true }).config["mode"];
    const own = (value: string) =>
      `---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ${value}\n`;
    expect(mode("v1.36.2")).toBe("");
    expect(mode("v1.37.1")).toBe("iptables");
    expect(mode("v1.37.1", own('""'))).toBe("iptables");
    expect(mode("v1.37.1", own("nftables"))).toBe("nftables");
    const parsed = parseConfig(`${cluster("v1.37.1")}${own("ipvs")}`, "f");
    initConfig(parsed, { hostname: () => "a", advertiseAddress: () => "10.0.0.1", newToken: () => TOKEN });
    expect(parsed.warnings).toEqual(["kube-proxy's mode ipvs is deprecated in Kubernetes; iptables and nftables stay"]);
  });

  test("patches reach kube-proxy's DaemonSet", () => {
    const config = configFrom(MINIMAL);
    const patch = {
      file: "kubeproxydaemonset.yaml",
      target: "kubeproxydaemonset" as const,
      type: "strategic" as const,
      value: {
        spec: { template: { spec: { containers: [{ name: "kube-proxy", env: [{ name: "A", value: "1" }] }] } } },
      },
    };
    const set = kubeProxyObjects(config, "https://10.0.0.1:6443", {}, { patches: [patch], environment: {} }).at(-1) as {
      spec: { template: { spec: { containers: { name: string; image: string; env: { name: string }[] }[] } } };
    };
    const [container, ...others] = set.spec.template.spec.containers;
    expect(others).toEqual([]);
    expect(container!.image).toContain("/kube-proxy:v1.36.2");
    expect(container!.env.map(({ name }) => name).sort()).toEqual(["A", "NODE_NAME"]);
  });

  test("feature gates that kubeadm has dropped are refused from then on", () => {
    const gate = (version: string, name: string) => problems(cluster(version, `featureGates: {${name}: true}\n`));
    expect(gate("v1.36.2", "NodeLocalCRISocket")).toEqual([]);
    expect(gate("v1.36.2", "PublicKeysECDSA")).toEqual([]);
    expect(gate("v1.35.6", "ControlPlaneKubeletLocalMode")).toEqual([]);
    for (const [version, name, since] of [
      ["v1.37.1", "NodeLocalCRISocket", "v1.37.0"],
      ["v1.37.1", "PublicKeysECDSA", "v1.37.0"],
      ["v1.36.2", "ControlPlaneKubeletLocalMode", "v1.36.0"],
    ] as const)
      expect(gate(version, name)).toEqual([
        `ClusterConfiguration.featureGates.${name}: is gone since kubeadm ${since}, which refuses a cluster's configuration with it; remove the line`,
      ]);
    for (const name of ["constructor", "toString"]) expect(gate("v1.37.1", name)[0]).toContain("is not a feature gate");
  });
});

describe("ports are checked where the component will listen", () => {
  const endpoint = { bindPort: 6443, advertiseAddress: "10.0.0.1" };
  const of = (port: number, config: Parameters<typeof controlPlaneListening>[1] = {}) =>
    controlPlaneListening(endpoint, config).find((l) => l.port === port)?.addresses;

  test("by its flags", () => {
    expect(of(6443)).toEqual([]);
    expect(of(6443, { apiServer: { extraArgs: [{ name: "bind-address", value: "10.0.0.1" }] } })).toEqual(["10.0.0.1"]);
    expect(of(6443, { apiServer: { extraArgs: [{ name: "bind-address", value: "::" }] } })).toEqual([]);
    expect(of(10257)).toEqual(["127.0.0.1"]);
    expect(of(10259, { scheduler: { extraArgs: [{ name: "bind-address", value: "0.0.0.0" }] } })).toEqual([]);
    expect(of(2379)).toEqual(["127.0.0.1", "10.0.0.1"]);
    expect(of(2380)).toEqual(["10.0.0.1"]);
    const listen = [{ name: "listen-client-urls", value: "https://10.0.0.9:2379" }];
    expect(of(2379, { etcd: { local: { dataDir: "/e", extraArgs: listen } } })).toEqual([]);
    expect(of(2379, { etcd: { external: { endpoints: [] } } })).toBeUndefined();
    expect(controlPlaneListening({ bindPort: 6443, advertiseAddress: "fd00::1" }, {})).toContainEqual({
      port: 2379,
      addresses: ["::1", "fd00::1"],
    });
  });

  test("a listener elsewhere is in nobody's way, one on all addresses is", () => {
    const row = (address: string, inode: number) =>
      `   0: ${address}:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1`;
    const table = [
      row("0200000A", 1), // 10.0.0.2
      row("0100000A", 2), // 10.0.0.1
      row("00000000", 3),
      row("00000000000000000000000000000000", 4),
      row("0000000000000000FFFF00000100000A", 5), // ::ffff:10.0.0.1
      row("000000FD000000000000000001000000", 6), // fd00::1
      row("00000000000000000000000001000000", 7), // ::1
    ].join("\n");
    const inodes = (...addresses: string[]) => listeningInodes(table, { port: 2375, addresses });
    expect(inodes()).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect(inodes("10.0.0.1")).toEqual(["2", "3", "4", "5"]);
    expect(inodes("127.0.0.1")).toEqual(["3", "4"]);
    expect(inodes("fd00:0::1")).toEqual(["3", "4", "6"]);
    expect(inodes("::1")).toEqual(["3", "4", "7"]);
  });
});

test("init talks to its own API server, not to an endpoint whose balancer may come later", async () => {
  const root = mkdtempSync("/tmp/kubestick-versions-");
  try {
    const config = configFrom(`${MINIMAL}controlPlaneEndpoint: balancer.lan:6443\n`);
    const files = new Files(root);
    const host = { facts: FACTS, files, ui: silentUi(), bundle: undefined, environment: {}, dryRun: false };
    const { cp, access } = openInit(config, host, {} as InitAsked);
    const { ca } = await testCa();
    files.write(
      "/etc/kubernetes/admin.conf",
      writeYaml(kubeconfig("kubernetes", "a", cp.servers.cluster, ca, { token: "t" })),
    );
    expect(cp.servers.cluster).toBe("https://balancer.lan:6443");
    expect((await access.client()).server).toBe("https://10.99.0.11:6443");
    const joining = adminAccess(cp, cp.servers.cluster);
    expect((await joining.client()).server).toBe("https://balancer.lan:6443");
    await access.close();
    await joining.close();
  } finally {
    rmSync(root, { recursive: true });
  }
});
