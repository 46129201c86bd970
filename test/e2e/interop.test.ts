import { afterAll, describe, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { caPin } from "../../lib/pki/certificate.ts";
import { hasBinary } from "../support/binaries.ts";
import { ignoredChecks, initWith, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { kubeadmConfig, kubeadmJoinConfig, kubeletLoop, speakNewKubeadm, speakOldKubeadm } from "../support/kubeadm.ts";
import { TestNode, until } from "../support/node.ts";

// kubeadm and kubestick in one cluster, each the first and each the one that joins. What an old kubeadm at hand says
// in other words is put into today's, and back (test/support/kubeadm.ts); all else is between the two programs.
const ENDPOINT = "cluster.test:6443";
const nodes = ["first", "cp", "worker"].map((role) => new TestNode(`io-${role}`));
const [first, second, worker] = nodes as [TestNode, TestNode, TestNode];

afterAll(async () => {
  for (const node of nodes) await node.down();
});

async function fresh(): Promise<void> {
  for (const node of nodes) await node.up({ hosts: `${first.ip} cluster.test\n` });
}

const pin = () => caPin(new X509Certificate(first.file("/etc/kubernetes/pki/ca.crt")));
const certificateKey = (output: string) => /--certificate-key ([0-9a-f]{64})/.exec(output)![1]!;

async function allThere(): Promise<void> {
  const conditions = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}';
  const wanted = nodes.map((node) => `${node.name}=True`).sort();
  const seen = () => first.kubectl("get", "nodes", "-o", `jsonpath=${conditions}`).trim().split(" ").sort();
  await until(() => seen().join() === wanted.join(), 120_000, `all nodes Ready`);
  const api = () => first.kubectl("get", "pods", "-n", "kube-system", "-l", "component=kube-apiserver", "-o", "name");
  await until(() => api().includes(second.name), 120_000, "the second API server");
  // What the second API server serves comes from its own etcd member.
  const asked = `--server=https://${second.ip}:6443`;
  await until(() => second.exec(["kubectl", asked, "get", "nodes"]).status === 0, 60_000, "the second one answers");
}

describe.skipIf(!hasBinary("kubeadm"))("with real kubeadm", () => {
  test("its join, as a worker and as a control plane, to a kubestick cluster", async () => {
    await fresh();
    const out = first.exec(initWith(first, `controlPlaneEndpoint: ${ENDPOINT}\n`, "--upload-certs"), 300_000);
    expectDone(out);
    speakOldKubeadm(first);
    const cluster = { endpoint: ENDPOINT, token: TOKEN, pin: pin() };
    for (const [node, key] of [
      [worker, undefined],
      [second, certificateKey(out.stdout)],
    ] as const) {
      node.write("/etc/kubernetes/kubeadm.yaml", kubeadmJoinConfig(node, key ? { ...cluster, key } : cluster));
      kubeletLoop(node);
      expectDone(
        node.exec(["kubeadm", "join", "--config=/etc/kubernetes/kubeadm.yaml", "--skip-phases=preflight"], 300_000),
      );
    }
    await allThere();
  });

  test("kubestick's join, as a worker and as a control plane, to a kubeadm cluster", async () => {
    await fresh();
    first.write("/etc/kubernetes/kubeadm.yaml", kubeadmConfig(first, `controlPlaneEndpoint: ${ENDPOINT}\n`));
    kubeletLoop(first);
    const flags = ["--upload-certs", "--skip-phases=preflight"];
    const out = first.exec(["kubeadm", "init", "--config=/etc/kubernetes/kubeadm.yaml", ...flags], 300_000);
    expectDone(out);
    speakNewKubeadm(first);
    const join = [
      ...KUBESTICK,
      "join",
      ENDPOINT,
      "--token",
      TOKEN,
      "--discovery-token-ca-cert-hash",
      pin(),
      ...ignoredChecks(),
    ];
    expectDone(worker.exec(join, 300_000));
    const own = ["--control-plane", "--certificate-key", certificateKey(out.stdout)];
    expectDone(second.exec([...join, ...own, "--apiserver-advertise-address", second.ip], 300_000));
    await allThere();
  });
});
