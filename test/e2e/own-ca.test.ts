import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { ignoredChecks, initWith, joinWith, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { type Forged, forged, type Party } from "../support/forge.ts";
import { TestNode, until } from "../support/node.ts";

const CA: Forged = {
  subject: "kubernetes",
  basic: { ca: true },
  keyUsage: 0x06,
  from: new Date(Date.now() - 86_400_000),
  to: new Date(Date.now() + 30 * 86_400_000),
};
const pinOf = (out: { stdout: string }) => /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
const ready = (node: TestNode, name: string) => () =>
  node.exec(["kubectl", "get", "node", name, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"])
    .stdout === "True";

describe("a CA that is an intermediate, its root behind it in ca.crt", () => {
  const nodes = ["ica1", "ica2", "ica3"].map((name) => new TestNode(name));
  const [first, second, worker] = nodes as [TestNode, TestNode, TestNode];
  const ENDPOINT = "cluster.test:6443";
  let out: ReturnType<TestNode["exec"]>;
  const top = forged({ ...CA, subject: "root" });
  const ca = forged(CA, top);

  beforeAll(async () => {
    // The endpoint's name is known nowhere yet.
    for (const node of nodes) await node.up({ cni: false });
    first.write("/etc/kubernetes/pki/ca.crt", ca.cert + top.cert);
    first.write("/etc/kubernetes/pki/ca.key", ca.keyPem);
    out = first.exec(initWith(first, `controlPlaneEndpoint: ${ENDPOINT}\n`, "--upload-certs"), 300_000);
    expectDone(out);
    learn(first);
    learn(second);
  });
  afterAll(async () => {
    for (const node of nodes) await node.down();
  });
  /** The name of the endpoint comes to a node. */
  const learn = (node: TestNode) => node.exec(["sh", "-c", `echo ${first.ip} cluster.test >> /etc/hosts`], 5_000, true);

  test("init, tokens, a worker and a further control plane", async () => {
    const made = first.exec([...KUBESTICK, "token", "create", "--print-join-command"], 60_000);
    expectDone(made);
    const [, token = "", pin = ""] = /--token (\S+) .*(sha256:[0-9a-f]{64})/.exec(made.stdout) ?? [];
    expect(pin).toBe(pinOf(out));
    const registration = "  imagePullPolicy: Never\n";
    const join = [...joinWith(worker, { endpoint: `${first.ip}:6443`, pin, token, registration }), ...ignoredChecks()];
    // What waits for a name says so, and goes on when it is there.
    const { output, status, reached } = await worker.runAnd(
      join,
      "the name cluster.test does not resolve on this host",
      () => learn(worker),
    );
    expect({ reached, status, output: status === 0 ? "" : output }).toEqual({ reached: true, status: 0, output: "" });
    const key = /--certificate-key ([0-9a-f]{64})/.exec(out.stdout)![1]!;
    const extra = `controlPlane: {localAPIEndpoint: {advertiseAddress: ${second.ip}}, certificateKey: "${key}"}\n`;
    expectDone(
      second.exec(
        [...joinWith(second, { endpoint: ENDPOINT, pin, token: TOKEN, registration, extra }), ...ignoredChecks()],
        300_000,
      ),
    );
  });

  test("the node agents follow the cluster, and service accounts have the whole of ca.crt", async () => {
    for (const node of nodes)
      await until(
        () => node.exec(["test", "-e", "/etc/cni/net.d/10-kubestick.conflist"]).status === 0,
        60_000,
        () =>
          `the agent's network on ${node.name}\n${node.exec(["tail", "-n", "30", "/var/log/kubestick/kubestick-agent.log"]).stdout}`,
      );
    for (const node of nodes) await until(ready(first, node.name), 90_000, `${node.name} is Ready`);
    expect(
      first.kubectl("get", "configmap", "-n", "default", "kube-root-ca.crt", "-o", "jsonpath={.data['ca\\.crt']}"),
    ).toBe(ca.cert + top.cert);
    expect(second.file("/etc/kubernetes/pki/ca.crt")).toBe(ca.cert + top.cert);
    expect(worker.file("/etc/kubernetes/pki/ca.crt")).toBe(ca.cert);
  });
});

describe("a CA whose key is elsewhere", () => {
  const nodes = ["xca1", "xca2", "xca3"].map((name) => new TestNode(name));
  const [first, second, worker] = nodes as [TestNode, TestNode, TestNode];
  const ENDPOINT = "cluster.test:6443";
  /** The machine that has the key. */
  let vault: string;
  let ca: Party;

  /** Has the vault make all that a control plane needs, and takes it there, but for the CA's key. */
  function equip(node: TestNode): void {
    const at = join(vault, node.name);
    fs.mkdirSync(join(at, "etc/kubernetes/pki"), { recursive: true });
    const shared = join(vault, "xca1/etc/kubernetes/pki");
    if (node !== first) {
      fs.mkdirSync(join(at, "etc/kubernetes/pki/etcd"), { recursive: true });
      for (const name of ["front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub", "etcd/ca.crt", "etcd/ca.key"])
        fs.copyFileSync(join(shared, name), join(at, "etc/kubernetes/pki", name));
    }
    fs.writeFileSync(join(at, "etc/kubernetes/pki/ca.crt"), ca.cert);
    fs.writeFileSync(join(at, "etc/kubernetes/pki/ca.key"), ca.keyPem);
    initWith(node, `controlPlaneEndpoint: ${ENDPOINT}\n`);
    fs.writeFileSync(
      join(vault, `${node.name}.yaml`),
      node
        .file("/etc/kubernetes/kubestick.yaml")
        .replace("---", `localAPIEndpoint: {advertiseAddress: ${node.ip}}\n---`),
    );
    for (const phase of [
      ["certs", "all"],
      ["kubeconfig", "all"],
    ])
      run(
        KUBESTICK[0]!,
        [KUBESTICK[1]!, "init", "phase", ...phase, "--config", join(vault, `${node.name}.yaml`), "--rootfs", at],
        120_000,
      );
    fs.rmSync(join(at, "etc/kubernetes/pki/ca.key"));
    // A node that joins gets its kubelet's certificate as every node does.
    for (const name of fs.readdirSync(join(at, "etc/kubernetes"), { recursive: true, encoding: "utf8" }))
      if (
        fs.statSync(join(at, "etc/kubernetes", name)).isFile() &&
        (node === first || !/^(kubelet|super-admin)\.conf$/.test(name))
      )
        node.write(`/etc/kubernetes/${name}`, fs.readFileSync(join(at, "etc/kubernetes", name), "utf8"));
  }

  beforeAll(async () => {
    ca = forged(CA);
    vault = fs.mkdtempSync("/var/tmp/kubestick-vault-");
    for (const node of nodes) await node.up({ hosts: `${first.ip} cluster.test\n` });
    equip(first);
    const out = first.exec(initWith(first, `controlPlaneEndpoint: ${ENDPOINT}\n`), 300_000);
    console.log(out.stdout, out.stderr);
    expectDone(out);
  });
  afterAll(async () => {
    fs.rmSync(vault, { recursive: true, force: true });
    for (const node of nodes) await node.down();
  });

  /** What whoever has the key does for each kubelet. */
  function sign(): void {
    const names = first
      .kubectl(
        "get",
        "csr",
        "-o",
        "jsonpath={range .items[?(@.status.conditions[0].type=='Approved')]}{.metadata.name}{'\\n'}{end}",
      )
      .split("\n")
      .filter(Boolean);
    for (const name of names) {
      if (first.kubectl("get", "csr", name, "-o", "jsonpath={.status.certificate}") !== "") continue;
      const request = Buffer.from(first.kubectl("get", "csr", name, "-o", "jsonpath={.spec.request}"), "base64");
      for (const [file, text] of [
        ["req", request],
        ["ca.crt", ca.cert],
        ["ca.key", ca.keyPem],
        ["ext", "extendedKeyUsage=clientAuth\n"],
      ] as const)
        fs.writeFileSync(join(vault, file), text);
      const pem = run("openssl", [
        "x509",
        "-req",
        "-in",
        join(vault, "req"),
        "-CA",
        join(vault, "ca.crt"),
        "-CAkey",
        join(vault, "ca.key"),
        "-CAcreateserial",
        "-days",
        "9",
        "-extfile",
        join(vault, "ext"),
      ]);
      const patch = JSON.stringify({ status: { certificate: Buffer.from(pem).toString("base64") } });
      first.kubectl("patch", "csr", name, "--subresource=status", "--type=merge", "-p", patch);
    }
  }

  test("a worker joins once somebody signs for it, and says for what it waits", async () => {
    const command = joinWith(worker, { endpoint: ENDPOINT, pin: "", registration: "  imagePullPolicy: Never\n" });
    worker.write(
      "/etc/kubernetes/join.yaml",
      worker.file("/etc/kubernetes/join.yaml").replace('caCertHashes: [""]', "unsafeSkipCAVerification: true"),
    );
    const { output, status } = await worker.runAnd([...command, ...ignoredChecks()], "nobody signs it.", sign);
    console.log(output);
    expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });
    expect(first.exec(["pgrep", "-fx", "kube-controller-manager.*"]).status).toBe(0);
  });

  test("a further control plane joins with what was made for it", async () => {
    equip(second);
    const extra = `controlPlane: {localAPIEndpoint: {advertiseAddress: ${second.ip}}}\n`;
    const command = joinWith(second, {
      endpoint: ENDPOINT,
      pin: "",
      registration: "  imagePullPolicy: Never\n",
      extra,
    });
    second.write(
      "/etc/kubernetes/join.yaml",
      second.file("/etc/kubernetes/join.yaml").replace('caCertHashes: [""]', "unsafeSkipCAVerification: true"),
    );
    const { output, status } = await second.runAnd([...command, ...ignoredChecks()], "nobody signs it.", sign);
    console.log(output);
    expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });
    for (const node of nodes) await until(ready(first, node.name), 90_000, `${node.name} is Ready`);
  });
});
