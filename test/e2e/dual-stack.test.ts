import { afterAll, beforeAll, expect, test } from "bun:test";
import { componentVersions } from "../support/binaries.ts";
import { ignoredChecks, joinWith, KUBESTICK, nodeConfig } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode, until } from "../support/node.ts";
import { connect, type PodHost, runPodOn } from "../support/pods.ts";

// Two boards with an IPv4 and an IPv6 address each; nobody tells a kubelet which.
const nodes = ["ds1", "ds2"].map((name) => new TestNode(name));
const [cp, worker] = nodes as [TestNode, TestNode];
const address6 = (node: TestNode) => `fd00:99::${node.ip.split(".").at(-1)}`;

// Dual-stack came with 1.23; before, each component had to be told.
const old = !componentVersions().supported;
const gate = old ? "featureGates: {IPv6DualStack: true}\n" : "";
const extraArgs = old ? "extraArgs: [{name: feature-gates, value: IPv6DualStack=true}]" : "";
const NETWORKING = `networking: {podSubnet: "10.244.0.0/16,fd00:10:244::/56", serviceSubnet: "10.96.0.0/16,fd00:10:96::/112"}
apiServer: {${extraArgs}}
controllerManager: {${extraArgs}}`;
const PROXY = `---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n${gate}`;

beforeAll(async () => {
  for (const node of nodes) {
    await node.up({ cni: false });
    const script = `ip -6 addr add ${address6(node)}/64 dev eth0 nodad; echo 1 >/proc/sys/net/ipv6/conf/default/forwarding`;
    node.exec(["sh", "-ec", script], 5_000, true);
  }
});
afterAll(async () => {
  for (const node of nodes) await node.down();
});

test("init and join tell the kubelet both of the node's addresses, unasked", async () => {
  const config = nodeConfig(cp).replace(/^networking: .*$/m, NETWORKING) + gate + PROXY;
  cp.write("/etc/kubernetes/kubestick.yaml", config);
  const init = cp.exec([...KUBESTICK, "init", "--config=/etc/kubernetes/kubestick.yaml", ...ignoredChecks()], 300_000);
  expectDone(init);
  const pin = /sha256:[0-9a-f]{64}/.exec(init.stdout)![0];
  const join = worker.exec(joinWith(worker, { endpoint: `${cp.ip}:6443`, pin }), 300_000);
  expectDone(join);
  for (const [node, { stdout }] of [
    [cp, init],
    [worker, join],
  ] as const)
    expect(stdout).toContain(`kubelet node-ip: ${node.ip},${address6(node)} (because pods have addresses of both`);
  const addresses = '{range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}';
  const listed = () => cp.kubectl("get", "nodes", "-o", `jsonpath=${addresses}`).trim().split("\n");
  const wanted = nodes.map((node) => `${node.ip} ${address6(node)}`);
  await until(
    () => listed().join() === wanted.join(),
    60_000,
    () => `both addresses of each node: ${listed()}`,
  );
});

test("a pod on each node has an address of each family, and reaches the other by both", async () => {
  for (const { name } of nodes) cp.kubectl(...runPodOn(name));
  const ips = (node: TestNode) =>
    cp.kubectl("get", "pod", `p-${node.name}`, "-o", "jsonpath={.status.podIPs[*].ip}").split(" ");
  await until(() => nodes.every((node) => ips(node).length === 2), 120_000, "both addresses of each pod");
  for (const [from, to] of [nodes, nodes.toReversed()] as [TestNode, TestNode][]) {
    const pod: PodHost = { name: from.name, podIp: ips(from)[0]!, exec: (command, ms) => from.exec(command, ms) };
    for (const ip of ips(to)) {
      const answer = () => connect(pod, ip, 9) === "refused";
      await until(answer, 30_000, () => `a pod of ${from.name} reaches ${ip}: ${connect(pod, ip, 9)}`);
    }
  }
});

test("hosts with a default route of IPv4 alone have a route to the IPv6 Services, and reach one", async () => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "six" },
    spec: { selector: { run: "p-ds2" }, ipFamilies: ["IPv6"], ports: [{ port: 9 }] },
  };
  cp.write("/root/six.json", JSON.stringify(service));
  cp.kubectl("create", "-f", "/root/six.json");
  const ip = cp.kubectl("get", "service", "six", "-o", "jsonpath={.spec.clusterIP}");
  for (const node of nodes) {
    const own = (family: string) => node.exec(["ip", family, "route", "show", "proto", "75"]).stdout;
    expect(own("-6")).toContain(`fd00:10:96::/112 dev eth0 src ${address6(node)} `);
    expect(own("-4")).not.toContain("10.96.");
    // An answer of the pod: nothing listens there, but packets go there and back.
    const said = () => node.exec(["timeout", "3", "bash", "-c", `exec 3<>/dev/tcp/${ip}/9`]).stderr;
    await until(
      () => said().includes("Connection refused"),
      60_000,
      () => `${node.name} reaches ${ip}: ${said()}`,
    );
  }
});

test("what leaves the cluster is masqueraded in both families, and reset takes that away", () => {
  expect(worker.exec(["nft", "list", "tables"]).stdout).toMatch(/table ip kubestick\ntable ip6 kubestick/);
  expectDone(worker.exec([...KUBESTICK, "reset", "--force"], 120_000));
  expect(worker.exec(["nft", "list", "tables"]).stdout).not.toContain("kubestick");
  expect(worker.exec(["ip", "-6", "route"]).stdout).not.toMatch(/fd00:10:(244|96):/);
});
