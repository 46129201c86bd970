import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { ignoredChecks, initWith, joinWith, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { type Forged, forged } from "../support/forge.ts";
import { TestNode, until } from "../support/node.ts";

const DAY = 86_400_000;
const CA: Forged = {
  subject: "kubernetes",
  basic: { ca: true },
  keyUsage: 0x06,
  from: new Date(Date.now() - DAY),
  to: new Date(Date.now() + 30 * DAY),
};
const ENDPOINT = "cluster.test:6443";
const IN_CLUSTER = `controlPlaneEndpoint: ${ENDPOINT}\n`;
const pinOf = ({ der }: { der: Buffer }) => caPin(new X509Certificate(der));

/** The command that joins a node; further lines of its configuration make it a control plane. */
const joins = (node: TestNode, to: { endpoint: string; pin: string; token?: string; extra?: string }) => [
  ...joinWith(node, { ...to, registration: "  imagePullPolicy: Never\n" }),
  ...ignoredChecks(),
];

async function allReady(nodes: TestNode[]): Promise<void> {
  const ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
  for (const { name } of nodes)
    await until(
      () => nodes[0]!.exec(["kubectl", "get", "node", name, "-o", ready]).stdout === "True",
      90_000,
      `${name} is Ready`,
    );
}

describe("a CA that is an intermediate, its root behind it in ca.crt, and an endpoint whose name comes later", () => {
  const nodes = ["ica1", "ica2", "ica3"].map((name) => new TestNode(name));
  const [first, second, worker] = nodes as [TestNode, TestNode, TestNode];
  const top = forged({ ...CA, subject: "root" });
  const ca = forged(CA, top);
  const learnName = (node: TestNode) =>
    node.exec(["sh", "-c", `echo ${first.ip} cluster.test >> /etc/hosts`], 5_000, true);
  let key = "";

  beforeAll(async () => {
    for (const node of nodes) await node.up({ cni: false });
    first.write("/etc/kubernetes/pki/ca.crt", ca.cert + top.cert);
    first.write("/etc/kubernetes/pki/ca.key", ca.keyPem);
    const out = first.exec(initWith(first, IN_CLUSTER, "--upload-certs"), 300_000);
    expectDone(out);
    key = /--certificate-key ([0-9a-f]{64})/.exec(out.stdout)![1]!;
    for (const node of [first, second]) learnName(node);
  });
  afterAll(async () => {
    for (const node of nodes) await node.down();
  });

  test("a worker joins with the intermediate's pin, and waits for the name", async () => {
    const made = first.exec([...KUBESTICK, "token", "create", "--print-join-command"], 60_000);
    expectDone(made);
    const [, token = "", pin = ""] = /--token (\S+) .*(sha256:[0-9a-f]{64})/.exec(made.stdout) ?? [];
    expect(pin).toBe(pinOf(ca));
    const command = joins(worker, { endpoint: `${first.ip}:6443`, pin, token });
    const words = "the name cluster.test does not resolve on this host";
    const { output, status, reached } = await worker.runAnd(command, words, () => learnName(worker));
    expect({ reached, status, output: status === 0 ? "" : output }).toEqual({ reached: true, status: 0, output: "" });
  });

  test("a further control plane joins", () => {
    const extra = `controlPlane: {localAPIEndpoint: {advertiseAddress: ${second.ip}}, certificateKey: "${key}"}\n`;
    expectDone(second.exec(joins(second, { endpoint: ENDPOINT, pin: pinOf(ca), token: TOKEN, extra }), 300_000));
  });

  test("the node agents follow the cluster, and service accounts have the whole of ca.crt", async () => {
    for (const node of nodes)
      await until(
        () => node.exec(["test", "-e", "/etc/cni/net.d/10-kubestick.conflist"]).status === 0,
        60_000,
        () =>
          `the agent's network on ${node.name}\n${node.exec(["tail", "/var/log/kubestick/kubestick-agent.log"]).stdout}`,
      );
    await allReady(nodes);
    const published = ["configmap", "-n", "default", "kube-root-ca.crt", "-o", "jsonpath={.data['ca\\.crt']}"];
    expect(first.kubectl("get", ...published)).toBe(ca.cert + top.cert);
    expect(second.file("/etc/kubernetes/pki/ca.crt")).toBe(ca.cert + top.cert);
    // A worker believes what was pinned, and no more.
    expect(worker.file("/etc/kubernetes/pki/ca.crt")).toBe(ca.cert);
  });
});

describe("a CA whose key is elsewhere", () => {
  const nodes = ["xca1", "xca2", "xca3"].map((name) => new TestNode(name));
  const [first, second, worker] = nodes as [TestNode, TestNode, TestNode];
  const ca = forged(CA);
  const vault = fs.mkdtempSync("/var/tmp/kubestick-vault-");
  const SHARED = ["front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub", "etcd/ca.crt", "etcd/ca.key"];

  beforeAll(async () => {
    for (const node of nodes) await node.up({ hosts: `${first.ip} cluster.test\n` });
    equip(first, ["certs all", "kubeconfig all"]);
    const out = first.exec(initWith(first, IN_CLUSTER), 300_000);
    expectDone(out);
    expect(out.stderr).toContain("so the cluster signs no kubelet's certificate");
  });
  afterAll(async () => {
    fs.rmSync(vault, { recursive: true, force: true });
    for (const node of nodes) await node.down();
  });

  /** Where the CA's key is, what a control plane needs is made; all but that key is brought to it. */
  function equip(node: TestNode, phases: string[]): void {
    const [root, config] = [join(vault, node.name), join(vault, `${node.name}.yaml`)];
    const kubernetes = join(root, "etc/kubernetes");
    fs.mkdirSync(join(kubernetes, "pki/etcd"), { recursive: true });
    fs.writeFileSync(join(kubernetes, "pki/ca.crt"), ca.cert);
    fs.writeFileSync(join(kubernetes, "pki/ca.key"), ca.keyPem);
    if (node !== first)
      for (const name of SHARED)
        fs.copyFileSync(join(vault, first.name, "etc/kubernetes/pki", name), join(kubernetes, "pki", name));
    initWith(node, IN_CLUSTER);
    const own = `localAPIEndpoint: {advertiseAddress: ${node.ip}}\n---`;
    fs.writeFileSync(config, node.file("/etc/kubernetes/kubestick.yaml").replace("---", own));
    const [bun = "", ...kubestick] = KUBESTICK;
    for (const phase of phases)
      run(bun, [...kubestick, "init", "phase", ...phase.split(" "), "--config", config, "--rootfs", root], 120_000);
    fs.rmSync(join(kubernetes, "pki/ca.key"));
    for (const name of fs.readdirSync(kubernetes, { recursive: true, encoding: "utf8" }))
      if (fs.statSync(join(kubernetes, name)).isFile())
        node.write(`/etc/kubernetes/${name}`, fs.readFileSync(join(kubernetes, name), "utf8"));
  }

  /** What whoever has the key does for each kubelet. */
  function sign(): void {
    const csr = (...words: string[]) => first.kubectl("get", "csr", ...words);
    const { items } = JSON.parse(csr("-o", "json")) as {
      items: { metadata: { name: string }; spec: { request: string }; status: { certificate?: string } }[];
    };
    const file = (name: string, data: string | Buffer) => {
      fs.writeFileSync(join(vault, name), data);
      return join(vault, name);
    };
    const signer = ["-CA", file("ca.crt", ca.cert), "-CAkey", file("ca.key", ca.keyPem), "-CAcreateserial"];
    const usage = ["-days", "9", "-extfile", file("extensions", "extendedKeyUsage=clientAuth\n")];
    for (const { metadata, spec } of items.filter(({ status }) => !status.certificate)) {
      const request = Buffer.from(spec.request, "base64");
      const certificate = run("openssl", ["x509", "-req", "-in", file("request", request), ...signer, ...usage]);
      const patch = JSON.stringify({ status: { certificate: Buffer.from(certificate).toString("base64") } });
      first.kubectl("patch", "csr", metadata.name, "--subresource=status", "--type=merge", "-p", patch);
    }
  }

  async function joinsWhenSigned(node: TestNode, extra = ""): Promise<void> {
    const command = joins(node, { endpoint: ENDPOINT, pin: pinOf(ca), extra });
    const { output, status, reached } = await node.runAnd(command, "nobody signs it.", sign);
    expect({ reached, status, output: status === 0 ? "" : output }).toEqual({ reached: true, status: 0, output: "" });
  }

  test("a worker joins once somebody signs for it, and says for what it waits", async () => {
    await joinsWhenSigned(worker);
  });

  test("a further control plane joins with what was made for it", async () => {
    equip(second, ["certs all", "kubeconfig admin", "kubeconfig controller-manager", "kubeconfig scheduler"]);
    await joinsWhenSigned(second, `controlPlane: {localAPIEndpoint: {advertiseAddress: ${second.ip}}}\n`);
    await allReady(nodes);
  });
});
