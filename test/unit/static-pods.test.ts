import { describe, expect, test } from "bun:test";
import { kubeProxyConfig } from "../../lib/addons/kube-proxy.ts";
import { componentPod } from "../../lib/manifests/control-plane.ts";
import { podPullPolicy } from "../../lib/manifests/images.ts";
import { commandFlag, mergeArgs } from "../../lib/manifests/pod.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";

describe("static pods", () => {
  const facts = { caDirs: [], environment: {} };
  const command = (text: string, name: Parameters<typeof componentPod>[0]) =>
    (componentPod(name, configFrom(text), facts) as { spec: { containers: { command: string[] }[] } }).spec
      .containers[0]!.command;
  const cluster = (body: string) => `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${body}`;

  test("a user's flag replaces the default, and may stand twice", () => {
    expect(
      mergeArgs(
        [
          ["a", "1"],
          ["b", "2"],
        ],
        [
          { name: "b", value: "3" },
          { name: "b", value: "4" },
          { name: "c", value: "" },
        ],
      ),
    ).toEqual(["--a=1", "--b=3", "--b=4", "--c="]);
    expect(
      command(cluster("apiServer: {extraArgs: [{name: authorization-mode, value: AlwaysAllow}]}\n"), "kube-apiserver"),
    ).toContain("--authorization-mode=AlwaysAllow");
  });

  test("an external etcd is used and its certificates are mounted", () => {
    const pod = componentPod(
      "kube-apiserver",
      configFrom(
        cluster(
          "etcd: {external: {endpoints: ['https://10.0.0.5:2379', 'https://10.0.0.6:2379'], caFile: /etc/etcd/ca.crt, certFile: /etc/etcd/c.crt, keyFile: /etc/etcd/c.key}}\n",
        ),
      ),
      facts,
    ) as {
      spec: { containers: { command: string[]; volumeMounts: { mountPath: string }[] }[] };
    };
    expect(pod.spec.containers[0]!.command).toContain("--etcd-servers=https://10.0.0.5:2379,https://10.0.0.6:2379");
    expect(pod.spec.containers[0]!.volumeMounts.map((m) => m.mountPath)).toContain("/etc/etcd");
  });

  test("an etcd before 3.6 gets the experimental names of its flags", () => {
    const old = command(cluster("etcd: {local: {imageTag: 3.5.21-0, dataDir: /var/lib/etcd}}\n"), "etcd");
    expect(old).toContain("--experimental-initial-corrupt-check=true");
    expect(old.join(" ")).not.toContain("feature-gates");
    expect(command(MINIMAL, "etcd")).toContain("--feature-gates=InitialCorruptCheck=true");
  });

  test("IPv6 addresses stand in brackets, and health is asked at ::1", () => {
    const text = `${cluster("networking: {podSubnet: 'fd00:10:244::/56', serviceSubnet: 'fd00:10:96::/112'}\n")}---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 'fd00::11'}\n`;
    expect(command(text, "etcd")).toContain("--listen-client-urls=https://[::1]:2379,https://[fd00::11]:2379");
    expect(command(text, "kube-apiserver")).toContain("--etcd-servers=https://[::1]:2379");
    expect(kubeProxyConfig(configFrom(text), FACTS.conntrack).config["bindAddress"]).toBe("::");
  });

  test("extra environment, volumes and proxies reach the container", () => {
    const config = configFrom(
      cluster(
        "scheduler: {extraEnvs: [{name: GOMAXPROCS, value: '1'}], extraVolumes: [{name: x, hostPath: /a, mountPath: /b, readOnly: true}]}\n",
      ),
    );
    const pod = componentPod("kube-scheduler", config, {
      caDirs: [],
      environment: { HTTPS_PROXY: "http://p:3128", HOME: "/root" },
    }) as {
      spec: { containers: { env: object[]; volumeMounts: object[] }[] };
    };
    expect(pod.spec.containers[0]!.env).toEqual([
      { name: "GOMAXPROCS", value: "1" },
      { name: "HTTPS_PROXY", value: "http://p:3128" },
    ]);
    expect(pod.spec.containers[0]!.volumeMounts).toContainEqual({ mountPath: "/b", name: "x", readOnly: true });
  });
});

test("a component's flags are found in its own container, wherever a patch has put others", () => {
  const pod =
    "metadata: {name: etcd}\nspec: {containers: [{name: sidecar, command: [x, --a=1]}, {name: etcd, command: [etcd, --a=2]}]}\n";
  expect(commandFlag(pod, "a")).toBe("2");
  expect(commandFlag(pod.replace("name: etcd}\n", "name: other}\n"), "a")).toBe("1");
  for (const odd of [
    "",
    "[",
    "spec: {containers: x}",
    "spec: {containers: [null]}",
    "spec: {containers: [{command: x}]}",
  ])
    expect(commandFlag(odd, "a")).toBeUndefined();
});

test("pods are not pulled anew where the node's images are, nor at all on a node that never pulls", () => {
  const policy = (imagePullPolicy?: string) =>
    podPullPolicy({ name: "n", criSocket: "", ...(imagePullPolicy ? { imagePullPolicy } : {}) });
  expect([policy(), policy("Always"), policy("IfNotPresent"), policy("Never")]).toEqual([
    ...Array(3).fill("IfNotPresent"),
    "Never",
  ]);
});
