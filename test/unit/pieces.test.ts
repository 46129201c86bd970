import { describe, expect, test } from "bun:test";
import { corefile } from "../../lib/addons/coredns.ts";
import { kubeProxyConfig } from "../../lib/addons/kube-proxy.ts";
import type { Decision } from "../../lib/binaries/plan.ts";
import { newCertificateKey, openCertificate, sealCertificate } from "../../lib/cluster/certificates.ts";
import { signDetached, verifyDetached } from "../../lib/cluster/jws.ts";
import { newToken, signingToken, splitToken, tokenSecret } from "../../lib/cluster/tokens.ts";
import { defaultToken } from "../../lib/config/kinds/init.ts";
import { KubestickError } from "../../lib/errors.ts";
import { parseResolvConf } from "../../lib/host/resolv-conf.ts";
import { fitKubeletConfig, kubeletConfig } from "../../lib/kubelet/config.ts";
import { kubeletFlags } from "../../lib/kubelet/flags.ts";
import { kubeletService } from "../../lib/kubelet/service.ts";
import { componentPod } from "../../lib/manifests/control-plane.ts";
import { podPullPolicy } from "../../lib/manifests/images.ts";
import { commandFlag, mergeArgs } from "../../lib/manifests/pod.ts";
import { findPhase, flatten, type Phase, type PhaseResult, runPhases, skipList } from "../../lib/phases/runner.ts";
import { error, runChecks, warning, warnOfUnknown } from "../../lib/preflight/check.ts";
import { CLUSTER_CHECKS } from "../../lib/preflight/join.ts";
import { cgroupDriverFromInfo } from "../../lib/runtime/cri.ts";
import * as pb from "../../lib/runtime/protobuf.ts";
import { flagsIn } from "../../lib/services/flags-file.ts";
import { openrcScript } from "../../lib/services/openrc.ts";
import { systemdUnit } from "../../lib/services/systemd.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";
import { silentUi } from "../support/ui.ts";

describe("tokens", () => {
  test("a detached signature verifies only with its token and its content", () => {
    for (let i = 0; i < 200; i++) {
      const { id, secret } = splitToken(newToken());
      const jws = signDetached(`content ${i}`, id, secret);
      expect(jws.split(".")[1]).toBe("");
      expect(verifyDetached(jws, `content ${i}`, id, secret)).toBe(true);
      expect(verifyDetached(jws, `content ${i + 1}`, id, secret)).toBe(false);
      expect(verifyDetached(jws, `content ${i}`, "abcdef", secret)).toBe(false);
      expect(verifyDetached(jws, `content ${i}`, id, splitToken(newToken()).secret)).toBe(false);
      const at = (i * 7) % jws.length;
      const changed = `${jws.slice(0, at)}${jws[at] === "A" ? "B" : "A"}${jws.slice(at + 1)}`;
      // The last character of a signature has bits that decode to nothing; compared as text they count all the same.
      expect(verifyDetached(changed, `content ${i}`, id, secret)).toBe(false);
    }
  });

  test("a header that says alg none is refused", () => {
    const header = Buffer.from('{"alg":"none","kid":"abcdef"}').toString("base64url");
    expect(verifyDetached(`${header}..`, "x", "abcdef", "0123456789abcdef")).toBe(false);
    for (const text of ["", "..", "a.b.c", "e30..", "!!..!!"])
      expect(verifyDetached(text, "x", "abcdef", "0123456789abcdef")).toBe(false);
  });

  test("only signing tokens that have not expired sign", () => {
    const now = new Date("2026-11-24T00:00:00Z");
    const secret = (token: Parameters<typeof defaultToken>[0]) => tokenSecret(defaultToken(token), now) as never;
    const token = "abcdef.0123456789abcdef";
    expect(signingToken(secret({ token }), now)).toEqual({ id: "abcdef", secret: "0123456789abcdef" });
    expect(signingToken(secret({ token, ttl: "0s" }), now)).toBeDefined();
    expect(signingToken(secret({ token, usages: ["authentication"] }), now)).toBeUndefined();
    expect(signingToken(secret({ token, expires: "2026-11-23T00:00:00Z" }), now)).toBeUndefined();
    expect(signingToken({ type: "Opaque", data: {} }, now)).toBeUndefined();
  });
});

test("uploaded certificates open only with their key, and not when changed", () => {
  const key = newCertificateKey();
  const data = Buffer.from("a private key");
  const sealed = sealCertificate(data, key);
  expect(openCertificate(sealed, key)).toEqual(data);
  expect(() => openCertificate(sealed, newCertificateKey())).toThrow();
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed);
    changed[i]! ^= 1;
    expect(() => openCertificate(changed, key)).toThrow();
  }
});

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

describe("fitting to the host", () => {
  test("each adaptation has a reason, and the user's own word wins", () => {
    const old = {
      cgroupVersion: 1 as const,
      cgroupRoot: undefined,
      swap: true,
      resolvConfs: [parseResolvConf("/etc/resolv.conf", "nameserver 127.0.0.53\n")],
    };
    const shared = kubeletConfig(configFrom(MINIMAL), { ...old, cgroupRoot: "/kubestick-n2" }, "cgroupfs");
    // One node's own: the others do not share its kernel, or have a root of their own.
    expect([shared.local["cgroupRoot"], shared.shared["cgroupRoot"]]).toEqual(["/kubestick-n2", undefined]);
    const fitted = kubeletConfig(configFrom(MINIMAL), old, "cgroupfs");
    expect(fitted.local).toMatchObject({
      failCgroupV1: false,
      failSwapOn: false,
      cgroupDriver: "cgroupfs",
      resolvConf: "/var/lib/kubestick/resolv.conf",
    });
    expect(fitted.adaptations).toHaveLength(4);
    // A path that is only there on this node must not reach the others through the cluster's ConfigMap.
    expect(fitted.shared["resolvConf"]).toBeUndefined();
    const joining = fitKubeletConfig({ ...fitted.shared, cgroupDriver: "systemd" }, FACTS, "cgroupfs");
    expect(joining.local).toMatchObject({ cgroupDriver: "cgroupfs" });
    expect(joining.local["resolvConf"]).toBeUndefined();
    expect(fitKubeletConfig(fitted.shared, old, "cgroupfs").local).toMatchObject({
      resolvConf: "/var/lib/kubestick/resolv.conf",
    });
    expect(fitKubeletConfig({ ...fitted.shared, resolvConf: "/etc/own" }, old, "cgroupfs").local).toMatchObject({
      resolvConf: "/etc/own",
    });
    expect(fitted.adaptations.every((a) => a.why.length > 10)).toBe(true);
    const user = configFrom(
      `${MINIMAL}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: true\nresolvConf: /etc/own\ncgroupDriver: systemd\nfailCgroupV1: true\n`,
    );
    const kept = kubeletConfig(user, old, "cgroupfs");
    expect(kept.local).toMatchObject({
      failSwapOn: true,
      resolvConf: "/etc/own",
      cgroupDriver: "systemd",
      failCgroupV1: true,
    });
    expect(kept.adaptations).toEqual([]);
  });

  test("a kubelet starts again when swap was switched on, unless the user wants it otherwise", () => {
    const host = { ...FACTS, swap: false };
    const fitted = kubeletConfig(configFrom(MINIMAL), host, undefined);
    expect([fitted.shared["failSwapOn"], fitted.local["failSwapOn"], fitted.adaptations]).toEqual([false, false, []]);
    // A cluster that kubeadm made says nothing of it, or what its administrator wants.
    expect(fitKubeletConfig({}, host, "systemd").local["failSwapOn"]).toBe(false);
    expect(fitKubeletConfig({ failSwapOn: true }, host, "systemd").local["failSwapOn"]).toBe(true);
    expect(fitKubeletConfig({ failSwapOn: true }, { ...host, swap: true }, "systemd").local["failSwapOn"]).toBe(false);
    const user = `${MINIMAL}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: true\n`;
    expect(kubeletConfig(configFrom(user), { ...host, swap: true }, "systemd").local["failSwapOn"]).toBe(true);
  });

  test("conntrack that is not ours is left alone", () => {
    const { config } = kubeProxyConfig(configFrom(MINIMAL), { max: false, timeouts: false });
    expect(config["conntrack"]).toMatchObject({
      maxPerCore: 0,
      tcpEstablishedTimeout: "0s",
      tcpCloseWaitTimeout: "0s",
    });
    const user = configFrom(
      `${MINIMAL}---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nconntrack: {maxPerCore: 1000}\n`,
    );
    expect(kubeProxyConfig(user, { max: false, timeouts: true }).config["conntrack"]).toMatchObject({
      maxPerCore: 1000,
    });
  });

  test("CoreDNS forwards only where there is somebody to forward to", () => {
    expect(corefile("cluster.local", true)).toContain("forward . /etc/resolv.conf");
    expect(corefile("cluster.local", false)).not.toContain("forward");
  });

  test("containerd 1.x tells its cgroup driver in its configuration", () => {
    const info = (systemd: boolean | undefined) =>
      JSON.stringify({
        containerd: {
          defaultRuntimeName: "runc",
          runtimes: { runc: { options: systemd === undefined ? null : { SystemdCgroup: systemd } } },
        },
      });
    expect(cgroupDriverFromInfo(info(true))).toBe("systemd");
    expect(cgroupDriverFromInfo(info(false))).toBe("cgroupfs");
    expect(cgroupDriverFromInfo(info(undefined))).toBe("cgroupfs");
    expect(cgroupDriverFromInfo("not json")).toBeUndefined();
  });
});

test("kubelet flags survive being written to a file and read back", () => {
  const node = {
    name: "other",
    criSocket: "",
    taints: [{ key: "k", value: "v", effect: "NoSchedule" }],
    kubeletExtraArgs: [{ name: "node-labels", value: 'a="b",c=$d' }],
  };
  const env = kubeletFlags(node, "cp1", { registerTaints: true, nodeIp: "10.0.0.7" });
  expect(flagsIn(env, "KUBELET_KUBEADM_ARGS")).toEqual([
    "--hostname-override=other",
    "--node-ip=10.0.0.7",
    "--register-with-taints=k=v:NoSchedule",
    '--node-labels=a="b",c=$d',
  ]);
  expect(kubeletFlags({ name: "cp1", criSocket: "" }, "cp1")).toBe('KUBELET_KUBEADM_ARGS=""\n');
  expect(flagsIn("nonsense", "KUBELET_KUBEADM_ARGS")).toEqual([]);
});

test("service definitions start the kubelet with kubeadm's files", () => {
  const spec = kubeletService("/usr/bin/kubelet");
  expect(systemdUnit(spec)).toContain("EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env");
  expect(systemdUnit(spec)).toMatch(
    /^ExecStart=\/usr\/bin\/kubelet .*--config=\/var\/lib\/kubelet\/config.yaml \$KUBELET_KUBEADM_ARGS$/m,
  );
  expect(openrcScript(spec)).toContain("supervisor=supervise-daemon");
  const env = { ...spec, env: { SETTING: "1" } };
  expect(systemdUnit(env)).toMatch(/^Environment=PATH=\/.*\nEnvironment=SETTING=1$/m);
  expect(openrcScript(env)).toMatch(/^export PATH="\$PATH:\/.*"\nexport SETTING="1"$/m);
});

test("protobuf: what is encoded is decoded, and cut messages are refused", () => {
  const bytes = pb.encode([
    [1, "text"],
    [2, 300],
    [3, true],
    [4, pb.encode([[1, "inner"]])],
    [16, "far"],
  ]);
  const fields = pb.decode(bytes);
  expect([
    pb.text(fields, 1),
    pb.integer(fields, 2),
    pb.integer(fields, 3),
    pb.text(pb.message(fields, 4), 1),
    pb.text(fields, 16),
  ]).toEqual(["text", 300, 1, "inner", "far"]);
  let refused = 0;
  for (let i = 1; i < bytes.length; i++) {
    try {
      pb.decode(bytes.subarray(0, i));
    } catch (e) {
      expect(e).toBeInstanceOf(RangeError);
      refused++;
    }
  }
  // Only cuts between two fields leave a message.
  expect(refused).toBe(bytes.length - 1 - 4);
});

describe("the phase runner", () => {
  const ran: string[] = [];
  const phase = (name: string, children?: Phase<null>[], fails = false): Phase<null> => ({
    name,
    short: name,
    children,
    run: () => {
      ran.push(name);
      if (fails) throw new KubestickError(`${name} failed`);
    },
  });
  const phases = [phase("one", [phase("a"), phase("b")]), phase("two"), phase("three", undefined, true), phase("four")];

  test("order, skipping and the report of a failure", async () => {
    ran.length = 0;
    const results: PhaseResult[] = [];
    const run = runPhases(
      flatten(phases).filter((p) => p.depth === 0),
      null,
      { skip: skipList(phases, ["one/a"]), ui: silentUi(), results },
    );
    await expect(run).rejects.toThrow("three failed");
    expect(ran).toEqual(["one", "b", "two", "three"]);
    expect(results.map((r) => `${r.phase} ${r.status}`)).toEqual([
      "one/a skipped",
      "one/b done",
      "one done",
      "two done",
      "three failed",
    ]);
  });

  test("names: words, slashes and all", () => {
    for (const words of [["one", "b"], ["one/b"]]) expect(findPhase(phases, words).path).toBe("one/b");
    expect(findPhase(phases, ["one", "all"]).path).toBe("one");
    expect(() => findPhase(phases, ["tow"])).toThrow("unknown phase");
    expect(() => skipList(phases, ["one/c"])).toThrow("unknown phase");
  });
});

describe("preflight", () => {
  const checks = [
    { name: "Good", why: "of a good reason", run: () => [] },
    { name: "Port", why: "it listens here", run: () => error("in use").map((f) => ({ ...f, name: "Port-6443" })) },
    { name: "Warns", why: "to be told", run: () => warning("hm") },
    { name: "Throws", why: "answers are needed", run: () => Promise.reject(new KubestickError("no answer")) },
  ];
  test("all errors are told together with the reason of each check, with exit code 3", async () => {
    const lines: string[] = [];
    const details: string[] = [];
    const ui = { ...silentUi(lines), detail: (text: string) => void details.push(text) };
    const failed = (await runChecks(checks, null, ui, new Set()).catch((e) => e)) as KubestickError;
    expect(failed.exitCode).toBe(3);
    expect(failed.message.split("\n")).toEqual([
      "2 preflight checks failed:",
      "  [Port-6443] in use",
      "    why: it listens here",
      "  [Throws] no answer",
      "    why: answers are needed",
    ]);
    expect(lines.join()).toContain("[Warns] hm");
    expect(details).toEqual(["[preflight] [Warns] why: to be told"]);
  });

  test("a name that no check has is told", () => {
    const lines: string[] = [];
    warnOfUnknown(checks, new Set(["port-6443", "THROWS", "all", "Mem", "Port6443"]), silentUi(lines));
    expect(lines.join("\n").match(/names no check: (\S+)/g)).toEqual([
      "names no check: mem",
      "names no check: port6443",
    ]);
  });

  test("a joining node's kubelet must go with the cluster's version", async () => {
    const found = async (kubelet: string | undefined, brought?: string, dryRun = false) => {
      const install = { kind: { name: "kubelet" }, action: "install", binary: { version: brought } };
      const ctx = {
        decisions: () => (brought ? [install] : []) as unknown as Decision[],
        clusterVersion: "v1.36.2",
        kubelet: kubelet === undefined ? undefined : { path: "/usr/bin/kubelet", version: kubelet },
        node: { name: "n", criSocket: "" },
        programs: { lacks: () => !dryRun },
      };
      const error = await runChecks(CLUSTER_CHECKS, ctx, silentUi([]), new Set()).catch(
        (e: KubestickError) => e.message,
      );
      return error === undefined ? undefined : /\[KubeletVersion\] (.*)/.exec(error)![1];
    };
    for (const good of ["v1.36.0", "v1.36.9", "v1.33.0"]) expect(await found(good)).toBeUndefined();
    expect(await found("v1.37.0")).toMatch(
      /it is v1.37.0, and Kubernetes is v1.36.2; join with the kubestick of v1.36.2/,
    );
    expect(await found("v1.32.9")).toMatch(/it is v1.32.9/);
    expect(await found(undefined)).toMatch(/no kubelet on this host.*install the kubelet of v1.36.2/);
    expect(await found(undefined, undefined, true)).toBeUndefined();
    expect(await found("v1.20.0", "v1.36.1")).toBeUndefined();
    expect(await found("v1.36.0", "v1.37.0")).toMatch(/it is v1.37.0/);
  });

  test("ignored checks warn, by kubeadm's name too", async () => {
    const lines: string[] = [];
    await runChecks(checks, null, silentUi(lines), new Set(["port-6443", "THROWS"]));
    expect(lines.join("\n")).toContain("in use");
    await runChecks(checks, null, silentUi(lines), new Set(["all"]));
  });
});
