import { afterAll, beforeAll, expect, test } from "bun:test";
import { JOIN_PHASES } from "../../lib/phases/join/join.ts";
import { flatten } from "../../lib/phases/runner.ts";
import { ignoredChecks, initWith, joinWith, KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode, until } from "../support/node.ts";

const nodes = [1, 2, 3].map((i) => new TestNode(`ha${i}`));
const [first, second, third] = nodes as [TestNode, TestNode, TestNode];
const ENDPOINT = "cluster.test:6443";
let pin = "";
let key = "";

beforeAll(async () => {
  for (const node of nodes) await node.up({ hosts: `${first.ip} cluster.test\n` });
  const out = first.exec(initWith(first, `controlPlaneEndpoint: ${ENDPOINT}\n`, "--upload-certs"), 300_000);
  expectDone(out);
  pin = /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
  key = /--certificate-key ([0-9a-f]{64})/.exec(out.stdout)![1]!;
});
afterAll(async () => {
  for (const node of nodes) await node.down();
});

function joinCommand(node: TestNode, certificateKey = key): string[] {
  const registration = "  imagePullPolicy: Never\n";
  const extra = `controlPlane:
  localAPIEndpoint: {advertiseAddress: ${node.ip}}
  certificateKey: "${certificateKey}"
`;
  return joinWith(node, { endpoint: ENDPOINT, pin, registration, extra }, "-v", ...ignoredChecks());
}

const members = (node: TestNode): { name: string; isLearner?: boolean }[] => {
  const pki = "/etc/kubernetes/pki/etcd";
  const out = node.exec(
    [
      "curl",
      "-s",
      "--cacert",
      `${pki}/ca.crt`,
      "--cert",
      `${pki}/peer.crt`,
      "--key",
      `${pki}/peer.key`,
      "-d",
      '{"linearizable":true}',
      "https://127.0.0.1:2379/v3/cluster/member/list",
    ],
    20_000,
    true,
  );
  return (JSON.parse(out.stdout) as { members: { name: string; isLearner?: boolean }[] }).members;
};

test("a wrong certificate key stops join before anything of it is written", () => {
  const out = second.exec(joinCommand(second, "0".repeat(64)), 120_000);
  expect([out.status, out.stderr]).toEqual([1, expect.stringContaining("the certificate key is another one")]);
  expect(second.exec(["ls", "/etc/kubernetes"]).stdout.trim()).toBe("join.yaml");
});

test("what another control plane left on the host stops join before anything is written", () => {
  const left = ["/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/etcd/member/snap/db"];
  for (const path of left) second.write(path, "");
  const out = second.exec(joinCommand(second), 120_000);
  expect({ status: out.status, stderr: out.stderr }).toEqual({
    status: 3,
    stderr: expect.stringMatching(/kube-apiserver\.yaml is already there.*\/var\/lib\/etcd is not empty/s),
  });
  expect(second.exec(["ls", "/etc/kubernetes/pki", "/var/lib/kubelet"]).stdout.trim()).toBe("");
  second.exec(["rm", "-r", "/etc/kubernetes/manifests", "/var/lib/etcd"], 5_000, true);
});

test("a control plane killed at each phase boundary, and as a learner, joins when the same command is run again", async () => {
  const boundaries = flatten(JOIN_PHASES)
    .filter(({ path }) => !path.startsWith("bundle"))
    .map(({ path }) => `phase ${path} begins`);
  const learner = boundaries.indexOf("phase etcd-join begins") + 1;
  for (const words of boundaries.toSpliced(learner, 0, "as a learner")) {
    const { killed, output } = await second.killAt(joinCommand(second), words);
    expect({ words, killed, output: killed ? "" : output }).toEqual({ words, killed: true, output: "" });
  }
  const out = second.exec(joinCommand(second), 300_000);
  expectDone(out);
  expect(
    members(first)
      .map((m) => [m.name, m.isLearner ?? false])
      .sort(),
  ).toEqual([
    ["ha1", false],
    ["ha2", false],
  ]);
});

/** Kills a program in a node's pods; the kubelet starts it again. */
function killInPods(node: TestNode, program: string): boolean {
  const find = `for p in $(pgrep -x ${program}); do grep -q ${node.cgroup} /proc/$p/cgroup && kill -9 $p && echo $p; done`;
  return node.exec(["bash", "-c", find], 20_000).stdout.trim() !== "";
}

test("a third one joins although an etcd member dies in the middle of it, and every control plane serves", async () => {
  let killed = false;
  const { output } = await third.runAnd(joinCommand(third), "as a learner", () => {
    // With two voters, the loss of either is the loss of the leader or of the quorum.
    killed = killInPods(first, "etcd");
  });
  expect({ killed, output: killed ? "" : output }).toEqual({ killed: true, output: "" });
  const serves = () => first.exec(["kubectl", "get", "--raw", "/readyz"], 20_000).status === 0;
  await until(serves, 180_000, "etcd is back");
  const out = third.exec(joinCommand(third), 300_000);
  expectDone(out);
  expect(
    members(third)
      .map((m) => m.name)
      .sort(),
  ).toEqual(["ha1", "ha2", "ha3"]);
  for (const node of nodes) {
    const listed = node.exec(
      [
        "kubectl",
        "--server",
        `https://${node.ip}:6443`,
        "get",
        "nodes",
        "-l",
        "node-role.kubernetes.io/control-plane",
        "-o",
        "name",
      ],
      30_000,
      true,
    );
    expect(listed.stdout.trim().split("\n").sort()).toEqual(["node/ha1", "node/ha2", "node/ha3"]);
  }
  expect(third.file("/etc/kubernetes/kubelet.conf")).toContain(`https://${third.ip}:6443`);
});

test("join again changes nothing, also after others have joined", () => {
  for (const node of [second, third]) {
    const print = () =>
      node.exec(["bash", "-c", "find /etc/kubernetes -type f | sort | xargs sha256sum"], 20_000, true).stdout;
    const before = print();
    const out = node.exec(joinCommand(node), 300_000);
    expectDone(out);
    expect(print()).toBe(before);
  }
});

test("reset takes a control plane out of etcd and leaves its host as it was", async () => {
  const before = third.file("/etc/kubernetes/join.yaml");
  const refused = third.exec([...KUBESTICK, "reset"], 60_000);
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("was not confirmed")]);
  const out = third.exec([...KUBESTICK, "reset", "--force"], 120_000);
  expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
  expect(
    members(first)
      .map((m) => m.name)
      .sort(),
  ).toEqual(["ha1", "ha2"]);
  expect(third.leftovers()).toEqual({
    files: ["/etc/kubernetes/join.yaml"],
    processes: ["containerd", "sleep"],
    mounts: [],
    rules: [],
  });
  expect(third.file("/etc/kubernetes/join.yaml")).toBe(before);
  expect(third.exec([...KUBESTICK, "reset", "--force"], 60_000)).toMatchObject({ status: 0, stderr: "" });
});

test("a host that was reset joins again", () => {
  first.kubectl("delete", "node", "ha3");
  const out = third.exec(joinCommand(third), 300_000);
  expectDone(out);
  expect(
    members(first)
      .map((m) => m.name)
      .sort(),
  ).toEqual(["ha1", "ha2", "ha3"]);
});

test("the loss of one leaves the cluster serving", async () => {
  await third.down();
  const works = () =>
    first.exec(["kubectl", "create", "configmap", `after-${Date.now()}`, "-n", "default"], 20_000).status === 0;
  await until(works, 60_000, "the API server takes a write without the third control plane");
});
