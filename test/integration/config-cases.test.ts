import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { readYaml } from "../../lib/yaml/read.ts";
import { kubestick } from "../support/kubestick.ts";
import { clusterText, initText, Rooted, type WrittenPod } from "../support/rooted.ts";

let at: Rooted;
beforeEach(() => {
  at = new Rooted();
});
afterEach(() => at.remove());

describe("configuration", () => {
  test("aliases and merged mappings are read, an alias of millions is not", async () => {
    const volumes =
      "extraVolumes: &volumes\n    - {name: audit, hostPath: /var/log/audit, mountPath: /var/log/audit}\n";
    const body = `apiServer: &api\n  ${volumes}controllerManager:\n  extraVolumes: *volumes\nscheduler:\n  <<: *api\n`;
    expect(await at.phase(initText() + clusterText(body), "control-plane")).toMatchObject({ code: 0 });
    for (const name of ["kube-apiserver", "kube-controller-manager", "kube-scheduler"])
      expect(at.container(name).volumeMounts.map((m) => m.name)).toContain("audit");
    const laughs = Array.from({ length: 9 }, (_, i) => `[${Array(10).fill(i === 0 ? "x" : `*a${i - 1}`)}]`);
    const bomb = `apiServer:\n  certSANs: [${laughs.map((list, i) => `&a${i} ${list}`).join(", ")}]\n`;
    const { code, stderr } = await at.phase(initText() + clusterText(bomb), "control-plane");
    expect(code).toBe(2);
    expect(stderr.length).toBeLessThan(10_000);
  });

  test("a CRI socket that is a path is one of the file system, and that is said", async () => {
    const body = "  criSocket: /run/containerd/containerd.sock\n";
    const { code, stderr, stdout } = await at.phase(initText(body) + clusterText(), "control-plane");
    expect(code).toBe(0);
    expect(stdout + stderr).toContain("is taken as unix:///run/containerd/containerd.sock");
  });

  test("empty strings and port 0 mean that nothing was given", async () => {
    const body =
      '  criSocket: ""\n  imagePullPolicy: ""\n  taints: null\nbootstrapTokens: [{}]\ncertificateKey: ""\npatches: {directory: ""}\n';
    const empty = `---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: ""
clusterName: ""
controlPlaneEndpoint: ""
imageRepository: ""
certificatesDir: ""
encryptionAlgorithm: ""
networking: {dnsDomain: "", podSubnet: "", serviceSubnet: ""}
etcd: {local: {dataDir: "", imageTag: "", imageRepository: ""}}
dns: {imageRepository: "", imageTag: ""}
apiServer: {extraArgs: [{name: feature-gates, value: ""}]}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: ""
clusterDomain: ""
cgroupDriver: ""
healthzBindAddress: ""
authentication: {x509: {clientCAFile: ""}}
authorization: {mode: ""}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: ""
clientConnection: {kubeconfig: "", qps: 5}
`;
    expect(await at.dryRun(initText(body, "  bindPort: 0\n") + empty)).toMatchObject({ code: 0 });
    expect(at.container("kube-apiserver").command).toEqual(
      expect.arrayContaining(["--secure-port=6443", "--service-cluster-ip-range=10.96.0.0/12", "--feature-gates="]),
    );
    expect(readYaml(at.text("var/lib/kubelet/config.yaml"))).toMatchObject({
      staticPodPath: "/etc/kubernetes/manifests",
      clusterDomain: "cluster.local",
      healthzBindAddress: "127.0.0.1",
      authentication: { x509: { clientCAFile: "/etc/kubernetes/pki/ca.crt" } },
      authorization: { mode: "Webhook" },
    });
    const proxy = fs
      .readdirSync(join(at.root, "var/lib/kubestick/dry-run"))
      .find((n) => n.endsWith("configmap-kube-proxy.yaml"))!;
    const { data } = readYaml(at.text(`var/lib/kubestick/dry-run/${proxy}`)) as { data: Record<string, string> };
    expect(readYaml(data["config.conf"]!)).toMatchObject({
      bindAddress: "0.0.0.0",
      clientConnection: { kubeconfig: "/var/lib/kube-proxy/kubeconfig.conf", qps: 5 },
    });
  });

  test("a document of another command is left to it", async () => {
    const join =
      "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {unknown: field}\n";
    const { code, stdout, stderr } = await at.phase(initText() + clusterText() + join, "control-plane");
    expect(code).toBe(0);
    expect(stdout + stderr).toContain("config.yaml:12: JoinConfiguration is not used by init and is ignored");
    const alone = await at.phase(join, "control-plane");
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain("there is no InitConfiguration or ClusterConfiguration in it");
    const joining = await kubestick("join", "--config", at.write("join.yaml", `${initText("  unknown: field\n")}`));
    expect(joining.code).toBe(2);
    expect(joining.stderr).toContain("there is no JoinConfiguration in it");
  });

  test("yes, on, no, off are booleans, and numbers are written as YAML 1.1 has them", async () => {
    const body = "dns:\n  disabled: Yes\nproxy:\n  disabled: on\nfeatureGates: {NodeLocalCRISocket: y}\n";
    const { code } = await at.dryRun(initText("", "  bindPort: 0o14453\n") + clusterText(body));
    expect(code).toBe(0);
    expect(at.container("kube-apiserver").command).toContain("--secure-port=6443");
    const objects = fs.readdirSync(join(at.root, "var/lib/kubestick/dry-run")).join(" ");
    expect(objects).not.toMatch(/coredns|kube-proxy/);
  });

  test("a boolean or number where a string is wanted is told with what was written, as kubeadm refuses it", async () => {
    for (const [written, said] of [
      ["yes", 'must be a string, not the boolean true (yes); put quotes around it: "yes"'],
      ["0b11", 'must be a string, not the number 3 (0b11); put quotes around it: "0b11"'],
    ] as const) {
      const { code, stderr } = await at.phase(initText() + clusterText(`clusterName: ${written}\n`), "control-plane");
      expect([code, stderr]).toEqual([2, expect.stringContaining(`ClusterConfiguration.clusterName: ${said}`)]);
    }
    // Dates and times of day are strings to Kubernetes.
    expect(await at.phase(initText() + clusterText("clusterName: 2026-01-01\n"), "control-plane")).toMatchObject({
      code: 0,
    });
  });

  test("strings that YAML 1.1 takes for something else are written in quotes", async () => {
    const values = "yes off 0b11 1_000 0o7 0X1F .5 ~ null 12:30 2026-01-01".split(" ");
    const odd = ["\\u2028", "\\u0085", "\\u007f"];
    const list = [...values, ...odd].map((v, i) => `    - {name: V${i}, value: "${v}"}\n`).join("");
    const body = `clusterName: "no"\napiServer:\n  extraArgs:\n  - {name: profiling, value: "off"}\n  extraEnvs:\n${list}`;
    at.write("patches/etcd.yaml", 'spec:\n  containers:\n  - name: etcd\n    env:\n    - {name: TRACE, value: "on"}\n');
    expect(await at.dryRun(initText() + clusterText(body), "--patches", join(at.dir, "patches"))).toMatchObject({
      code: 0,
    });
    const manifest = at.text("etc/kubernetes/manifests/kube-apiserver.yaml");
    for (const value of [...values, ...odd]) expect(manifest).toContain(`value: "${value}"\n`);
    expect(at.text("etc/kubernetes/manifests/etcd.yaml")).toContain('value: "on"\n');
    expect(at.text("etc/kubernetes/admin.conf")).toContain('name: "no"\n');
    const map = fs
      .readdirSync(join(at.root, "var/lib/kubestick/dry-run"))
      .find((n) => n.endsWith("configmap-kubeadm-config.yaml"))!;
    const { data } = readYaml(at.text(`var/lib/kubestick/dry-run/${map}`)) as { data: Record<string, string> };
    expect(data["ClusterConfiguration"]).toContain('clusterName: "no"\n');
    // Kubernetes' own reader.
    const file = join(at.root, "etc/kubernetes/manifests/kube-apiserver.yaml");
    const patched = run("kubectl", ["set", "env", "--local", "-f", file, "Z=1", "-o", "json"]);
    const env = (JSON.parse(patched) as WrittenPod).spec.containers[0]!.env!;
    const read = new Map(env.map(({ name, value }) => [name, value]));
    expect(values.map((_, i) => read.get(`V${i}`))).toEqual(values);
    run("kubectl", ["--kubeconfig", join(at.root, "etc/kubernetes/admin.conf"), "config", "view"]);
  });

  test("times that the calendar does not have, and durations that Go does not, are told with their line before anything is done", async () => {
    const token = (rest: string) => `bootstrapTokens:\n- token: abcdef.0123456789abcdef\n  ${rest}\n`;
    for (const [config, line] of [
      [initText(token('expires: "2026-13-45T99:99:99Z"')) + clusterText(), 9],
      [initText(token('expires: "2027-02-30T10:00:00Z"')) + clusterText(), 9],
      [initText(token('expires: "9999-12-31T23:59:59-23:59"')) + clusterText(), 9],
      [initText(token("ttl: 99999999h")) + clusterText(), 9],
      [initText() + clusterText("caCertificateValidityPeriod: 99999999h\n"), 11],
      [initText("timeouts: {discovery: 2562048h}\n") + clusterText(), 7],
    ] as const) {
      const { code, stderr } = await at.dryRun(config);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`config.yaml:${line}: `)]);
      expect(fs.existsSync(at.root)).toBe(false);
    }
    expect(await at.dryRun(initText(token('expires: "2028-02-29T10:00:00+02:00"')) + clusterText())).toMatchObject({
      code: 0,
    });
  });

  test("a node's name is lowered, wherever it comes from", async () => {
    const named = initText("bootstrapTokens: [{token: abcdef.0123456789abcdef}]\n").replace("node1", '" Raspberry "');
    expect(await at.phase(named + clusterText(), "etcd")).toMatchObject({ code: 0 });
    expect(at.container("etcd").command).toContain("--name=raspberry");
    at.clear();
    const file = at.write("config.yaml", initText() + clusterText());
    expect(
      await kubestick("init", "phase", "etcd", "--config", file, "--rootfs", at.root, "--node-name", "PI"),
    ).toMatchObject({
      code: 0,
    });
    expect(at.container("etcd").command).toContain("--name=pi");
  });

  test("fields without effect here are named", async () => {
    const body = "timeouts: {upgradeManifests: 5m0s, etcdAPICall: 1m0s, kubeletHealthCheck: 1m0s}\n";
    const external =
      "etcd: {external: {endpoints: ['https://10.0.0.9:2379'], httpEndpoints: ['http://10.0.0.9:2381']}}\n";
    const { code, stdout, stderr } = await at.phase(initText(body) + clusterText(external), "control-plane");
    expect(code).toBe(0);
    const told = [...(stdout + stderr).matchAll(/yaml:\d+: (\S+) has no effect here/g)].map((m) => m[1]!);
    expect(told.sort()).toEqual([
      "ClusterConfiguration.etcd.external.httpEndpoints",
      "InitConfiguration.timeouts.etcdAPICall",
      "InitConfiguration.timeouts.upgradeManifests",
    ]);
  });

  test("twenty problems are told, and how many more there are", async () => {
    const { code, stderr } = await at.phase(initText() + clusterText("k: v\n".repeat(10_000)), "control-plane");
    expect(code).toBe(2);
    expect(stderr.split("\n").filter((line) => line.includes("config.yaml:"))).toHaveLength(20);
    // The first is an unknown field; the others are duplicates of it.
    expect(stderr).toContain("\n  and 9980 more\n");
  });
});

describe("static pods", () => {
  test("startup probes wait as long as the configuration says, in both versions of it", async () => {
    expect(
      await at.phase(initText("timeouts: {controlPlaneComponentHealthCheck: 2m0s}\n") + clusterText(), "control-plane"),
    ).toMatchObject({ code: 0 });
    expect(at.container("kube-scheduler").startupProbe.failureThreshold).toBe(12);
    at.clear();
    const old = initText() + clusterText("apiServer: {timeoutForControlPlane: 95s}\n");
    expect(await at.phase(old.replaceAll("v1beta4", "v1beta3"), "etcd")).toMatchObject({ code: 0 });
    expect(at.container("etcd").startupProbe.failureThreshold).toBe(10);
    at.clear();
    await at.phase(initText() + clusterText(), "control-plane");
    expect(at.container("kube-apiserver").startupProbe.failureThreshold).toBe(24);
  });

  test("proxies are for the control plane, not for etcd; health is asked at this host's address", async () => {
    const body =
      "apiServer:\n  extraArgs: [{name: advertise-address, value: 203.0.113.9}]\nscheduler:\n  extraArgs: [{name: bind-address, value: 0.0.0.0}]\n";
    const before = { ...process.env };
    Object.assign(process.env, {
      HTTPS_PROXY: "http://p:3128",
      NO_PROXY: "10.96.0.0/12",
      ftp_proxy: "f:1",
      NONE_PROXY: "",
    });
    try {
      expect(await at.phase(initText() + clusterText(body), "control-plane")).toMatchObject({ code: 0 });
      expect(await at.phase(initText() + clusterText(body), "etcd")).toMatchObject({ code: 0 });
    } finally {
      for (const name of ["HTTPS_PROXY", "NO_PROXY", "ftp_proxy", "NONE_PROXY"])
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
    }
    expect(
      at
        .container("kube-apiserver")
        .env!.filter((e) => /proxy/i.test(e.name))
        .map((e) => e.name),
    ).toEqual(expect.arrayContaining(["HTTPS_PROXY", "NO_PROXY", "ftp_proxy"]));
    expect(at.container("etcd").env).toBeUndefined();
    expect(at.container("kube-apiserver").livenessProbe.httpGet.host).toBe("10.0.0.5");
    expect(at.container("kube-scheduler").livenessProbe.httpGet).not.toHaveProperty("host");
  });

  test("with an external CA the controller manager signs nothing", async () => {
    const config = initText() + clusterText();
    expect(await at.phase(config, "certs")).toMatchObject({ code: 0 });
    expect(await at.phase(config, "control-plane", "controller-manager")).toMatchObject({ code: 0 });
    expect(at.container("kube-controller-manager").command).toContain(
      "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
    );
    at.clear("etc/kubernetes/manifests");
    at.clear("etc/kubernetes/pki/ca.key");
    expect(await at.phase(config, "control-plane", "controller-manager")).toMatchObject({ code: 0 });
    expect(at.container("kube-controller-manager").command).toEqual(
      expect.arrayContaining(["--cluster-signing-cert-file=", "--cluster-signing-key-file="]),
    );
  });

  test("the API server's address and the first network of Services are of one family", async () => {
    const v6 = "networking:\n  podSubnet: fd00:1::/56\n  serviceSubnet: fd00:2::/112\n";
    const wrong = await at.phase(initText() + clusterText(v6), "control-plane");
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("fd00:2::/112 is IPv6, and the API server's address 10.0.0.5 is IPv4"),
    ]);
    const other = await at.phase(initText().replace("10.0.0.5", "fd00::5") + clusterText(), "control-plane");
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("10.96.0.0/12 is IPv4")]);
    const own = "apiServer: {extraArgs: [{name: advertise-address, value: 'fd00::9'}]}\n";
    expect(await at.phase(initText() + clusterText(v6 + own), "control-plane")).toMatchObject({ code: 0 });
  });
});
