import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { ApiClient } from "../../lib/api/client.ts";
import type { ApiError } from "../../lib/api/errors.ts";
import { openCertificate } from "../../lib/cluster/certificates.ts";
import { verifyDetached } from "../../lib/cluster/jws.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { flatten } from "../../lib/phases/runner.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { componentVersions, hasBinary } from "../support/binaries.ts";
import { initCommand, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { kubeletLoop } from "../support/kubeadm.ts";
import { TestNode, until } from "../support/node.ts";

const cp1 = new TestNode("cp1");
const w1 = new TestNode("w1");
const supported = componentVersions().supported;

interface Pod {
  metadata: { name: string };
  spec: { nodeName?: string };
  status: { phase: string; containerStatuses?: { ready: boolean }[]; conditions?: { type: string; status: string }[] };
}
const pods = () =>
  (JSON.parse(cp1.kubectl("get", "pods", "-n", "kube-system", "-o", "json")) as { items: Pod[] }).items;

beforeAll(async () => {
  console.log(`end to end with Kubernetes ${componentVersions().kubernetes}, etcd ${componentVersions().etcdTag}`);
  await cp1.up();
});
afterAll(async () => {
  await w1.down();
  await cp1.down();
});

describe("init", () => {
  test("kill -9 at the beginning of each phase, then again, converges", async () => {
    // The first run ends before any file is written; the last one is left to finish by the next test.
    const boundaries = flatten(INIT_PHASES)
      .filter((p) => p.depth === 0 && !["bundle", "upload-certs"].includes(p.path))
      .map((p) => p.path);
    for (const phase of boundaries) {
      const { killed, output } = await cp1.killAt(initCommand(cp1, "-v"), `phase ${phase} begins`);
      expect({ phase, killed, output: killed ? "" : output }).toEqual({ phase, killed: true, output: "" });
    }
  });

  test("ends with a working control plane", async () => {
    const out = cp1.exec(initCommand(cp1), 300_000);
    expectDone(out);
    expect(out.stdout).toContain("Your Kubernetes control-plane has initialized successfully!");
    expect(cp1.kubectl("get", "nodes", "-o", "name").trim()).toBe("node/cp1");
    const wanted = ["etcd-cp1", "kube-apiserver-cp1", "kube-controller-manager-cp1", "kube-scheduler-cp1"];
    const isReady = (pod: Pod | undefined) => pod?.status.containerStatuses?.every((c) => c.ready) ?? false;
    await until(
      () => wanted.every((name) => isReady(pods().find((p) => p.metadata.name === name))),
      120_000,
      "static pods ready",
    );
    await until(
      () => isReady(pods().find((p) => p.metadata.name.startsWith("kube-proxy-"))),
      120_000,
      "kube-proxy ready",
    );
    const scheduled = (pod: Pod) =>
      pod.status.conditions?.some((c) => c.type === "PodScheduled" && c.status === "True") ?? false;
    await until(
      () => pods().filter((p) => p.metadata.name.startsWith("coredns-") && scheduled(p)).length === 2,
      120_000,
      "CoreDNS scheduled",
    );
  });

  test("anonymous gets cluster-info and nothing else", async () => {
    const nobody = new ApiClient({ server: `https://${cp1.ip}:6443`, ca: cp1.file("/etc/kubernetes/pki/ca.crt") });
    const status = (path: string) =>
      nobody.text(path).then(
        () => 200,
        (error: ApiError) => error.status,
      );
    expect(await nobody.text("/api/v1/namespaces/kube-public/configmaps/cluster-info")).toContain(
      "jws-kubeconfig-abcdef",
    );
    for (const path of [
      "/api/v1/namespaces/kube-public/configmaps",
      "/api/v1/namespaces/kube-system/secrets",
      "/api/v1/nodes",
      "/apis",
    ]) {
      expect({ path, status: await status(path) }).toEqual({ path, status: 403 });
    }
    await nobody.close();
    const bindings = JSON.parse(cp1.kubectl("get", "clusterrolebindings,rolebindings", "-A", "-o", "json")) as {
      items: { metadata: { name: string }; subjects?: { name: string }[] }[];
    };
    const open = bindings.items.filter((b) =>
      b.subjects?.some((s) => ["system:anonymous", "system:unauthenticated"].includes(s.name)),
    );
    // Components built from a distribution's tree bring that one's own besides.
    const names = open.map((b) => b.metadata.name).filter((name) => !name.startsWith("system:openshift:"));
    expect(names.sort()).toEqual(["kubeadm:bootstrap-signer-clusterinfo", "system:public-info-viewer"]);
  });

  test("a second run changes no file and no object", () => {
    const before = [fingerprint(), objects()];
    const out = cp1.exec(initCommand(cp1), 300_000);
    expect(out.status).toBe(0);
    expect([fingerprint(), objects()]).toEqual(before);
  });

  test("kube-controller-manager agrees with our signature of cluster-info", async () => {
    const read = () =>
      JSON.parse(cp1.kubectl("get", "configmap", "-n", "kube-public", "cluster-info", "-o", "json")).data as Record<
        string,
        string
      >;
    const own = read()["jws-kubeconfig-abcdef"]!;
    cp1.kubectl(
      "patch",
      "configmap",
      "-n",
      "kube-public",
      "cluster-info",
      "--type=json",
      '-p=[{"op":"remove","path":"/data/jws-kubeconfig-abcdef"}]',
    );
    await until(() => read()["jws-kubeconfig-abcdef"] !== undefined, 60_000, "the bootstrap signer signs again");
    expect(read()["jws-kubeconfig-abcdef"]).toBe(own);
  });
});

test("uploaded certificates are the host's, encrypted, and go with their token", () => {
  const key = "ab".repeat(32);
  const out = cp1.exec(
    [
      ...KUBESTICK,
      "init",
      "phase",
      "upload-certs",
      "--upload-certs",
      `--certificate-key=${key}`,
      "--config=/etc/kubernetes/kubestick.yaml",
    ],
    60_000,
  );
  expectDone(out);
  const secret = JSON.parse(cp1.kubectl("get", "secret", "-n", "kube-system", "kubeadm-certs", "-o", "json")) as {
    data: Record<string, string>;
    metadata: { ownerReferences: { name: string; uid: string }[] };
  };
  expect(Object.keys(secret.data).sort()).toEqual([
    "ca.crt",
    "ca.key",
    "etcd-ca.crt",
    "etcd-ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
  ]);
  for (const [name, sealed] of Object.entries(secret.data)) {
    const opened = openCertificate(Buffer.from(sealed, "base64"), key).toString();
    expect({ name, same: opened === cp1.file(`/etc/kubernetes/pki/${name.replace("etcd-", "etcd/")}`) }).toEqual({
      name,
      same: true,
    });
  }
  const owner = secret.metadata.ownerReferences[0]!;
  expect(cp1.kubectl("get", "secret", "-n", "kube-system", owner.name, "-o", "jsonpath={.metadata.uid}")).toBe(
    owner.uid,
  );
});

test("a token made later works at once: listed, signed, accepted, and gone when it is deleted", async () => {
  const token = (...args: string[]) => cp1.exec([...KUBESTICK, "token", ...args], 30_000);
  const made = token("create", "fedcba.0123456789abcdef", "--ttl=2h", "--description=a board", "--print-join-command");
  expect(made.stdout.trim()).toBe(
    `kubestick join ${cp1.ip}:6443 --token fedcba.0123456789abcdef --discovery-token-ca-cert-hash ${caPin(new X509Certificate(cp1.file("/etc/kubernetes/pki/ca.crt")))}`,
  );
  const info = () =>
    (
      JSON.parse(cp1.kubectl("get", "configmap", "-n", "kube-public", "cluster-info", "-o", "json")) as {
        data: Record<string, string>;
      }
    ).data;
  const published = info();
  expect(
    verifyDetached(published["jws-kubeconfig-fedcba"] ?? "", published["kubeconfig"]!, "fedcba", "0123456789abcdef"),
  ).toBe(true);
  expect(published["jws-kubeconfig-abcdef"]).toBeDefined();
  expect(token("list").stdout).toMatch(
    /fedcba\.0123456789abcdef +(2h0m0s|1h59m\d+s) +\S+Z +signing,authentication +a board +system:bootstrappers/,
  );
  const client = new ApiClient({
    server: `https://${cp1.ip}:6443`,
    ca: cp1.file("/etc/kubernetes/pki/ca.crt"),
    token: "fedcba.0123456789abcdef",
  });
  expect(await client.text("/api/v1/namespaces/kube-system/configmaps/kubelet-config")).toContain(
    "KubeletConfiguration",
  );
  expect(token("create", "fedcba.0000000000000000").stderr).toContain("already a token with the id fedcba");
  expect(token("delete", "fedcba").stdout).toContain('"fedcba" deleted');
  expect(info()["jws-kubeconfig-fedcba"]).toBeUndefined();
  await until(
    () =>
      client.text("/api/v1/namespaces/kube-system/configmaps/kubelet-config").then(
        () => false,
        (e: ApiError) => e.status === 401,
      ),
    10_000,
    "the deleted token is refused",
  );
  await client.close();
  expect(token("delete", "fedcba").status).toBe(1);
});

describe("joining", () => {
  const pin = () => caPin(new X509Certificate(cp1.file("/etc/kubernetes/pki/ca.crt")));
  const discovery = () => [`${cp1.ip}:6443`, "--token", TOKEN, "--discovery-token-ca-cert-hash", pin()];

  test.skipIf(!hasBinary("kubeadm") || !supported)(
    "a real kubeadm join gets through discovery and TLS bootstrap",
    async () => {
      await w1.up();
      const kubelet = kubeletLoop(w1);
      const out = w1.exec(["kubeadm", "join", ...discovery(), "--ignore-preflight-errors=all"], 200_000);
      expectDone(out);
      // kubeadm ends with the kubelet's certificate; the kubelet registers its node a moment later.
      await until(() => cp1.kubectl("get", "nodes", "-o", "name").includes("node/w1"), 60_000, "w1 registered");
      kubelet.kill();
    },
  );

  test.skipIf(!hasBinary("kubeadm") || !supported)(
    "kubeadm certs check-expiration and upgrade plan read the cluster",
    () => {
      for (const command of [
        ["certs", "check-expiration"],
        ["upgrade", "plan", componentVersions().kubernetes, "--allow-experimental-upgrades"],
      ]) {
        const out = cp1.exec(["kubeadm", ...command], 120_000);
        expectDone(out, { command });
      }
    },
  );
});

function fingerprint(): string[] {
  const list = cp1.exec(
    [
      "bash",
      "-c",
      "find /etc/kubernetes /var/lib/kubestick /var/lib/kubelet/*.yaml /var/lib/kubelet/kubeadm-flags.env -type f | sort | xargs sha256sum",
    ],
    20_000,
    true,
  ).stdout;
  return list.trim().split("\n");
}

function objects(): string {
  const kinds =
    "configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings,serviceaccounts,services,deployments,daemonsets";
  const list = JSON.parse(cp1.kubectl("get", kinds, "-A", "-o", "json")) as {
    items: {
      kind: string;
      metadata: { name: string; namespace?: string; generation?: number };
      data?: object;
      spec?: object;
    }[];
  };
  const own = list.items.filter(
    (o) => !/token-[a-z0-9]{5}$/.test(o.metadata.name) && o.metadata.namespace !== "default",
  );
  const text = own.map((o) => {
    // A token's expiry moves with each run, as kubeadm's does.
    const data = o.metadata.name.startsWith("bootstrap-token-") ? Object.keys(o.data ?? {}) : o.data;
    return JSON.stringify([o.kind, o.metadata.namespace, o.metadata.name, o.metadata.generation, data, o.spec]);
  });
  return createHash("sha256").update(text.sort().join("\n")).digest("hex");
}
