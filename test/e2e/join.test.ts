import { afterAll, beforeAll, expect, test } from "bun:test";
import { initCommand, joinWith, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode, until } from "../support/node.ts";

const cp = new TestNode("jcp");
const worker = new TestNode("jw1");
let pin = "";

beforeAll(async () => {
  await cp.up();
  await worker.up({ defaultRoute: false });
  const out = cp.exec(initCommand(cp, "--output=json"), 300_000);
  expectDone(out);
  pin = /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
});
afterAll(async () => {
  await worker.down();
  await cp.down();
});

function joinConfig(token: string, hash = pin): string[] {
  return joinWith(worker, {
    endpoint: `${cp.ip}:6443`,
    pin: hash,
    token,
    kubeletArgs: ', {name: node-labels, value: "shelf=left"}',
    registration: "  taints: [{key: class, value: busy, effect: PreferNoSchedule}]\n",
    extra: "timeouts: {discovery: 3s}\n",
  });
}

test("what does not fit stops join before anything is written, each with its own reason", () => {
  for (const [token, hash, reason] of [
    ["fedcba.0123456789abcdef", pin, "does not know the token fedcba"],
    ["abcdef.ffffffffffffffff", pin, "is not signed with this token"],
    [TOKEN, `sha256:${"0".repeat(64)}`, "is not the one that was pinned"],
  ] as const) {
    const out = worker.exec(joinConfig(token, hash), 60_000);
    expect({ reason, status: out.status, said: out.stderr.includes(reason) || out.stderr }).toEqual({
      reason,
      status: 1,
      said: true,
    });
  }
  const without = worker.exec([...KUBESTICK, "join", `${cp.ip}:6443`, "--token", TOKEN], 60_000);
  expect({ status: without.status, said: without.stderr.includes("needs caCertHashes") || without.stderr }).toEqual({
    status: 2,
    said: true,
  });
  worker.write("/opt/newer/kubelet", "#!/bin/sh\necho Kubernetes v1.99.1\n");
  worker.exec(["chmod", "+x", "/opt/newer/kubelet"], 5_000, true);
  const newer = worker.exec(["env", `PATH=/opt/newer:${worker.env["PATH"]}`, ...joinConfig(TOKEN)], 60_000);
  expect([newer.status, newer.stderr]).toEqual([3, expect.stringMatching(/\[KubeletVersion\].*it is v1\.99\.1/)]);
  expect(worker.exec(["ls", "/etc/kubernetes"]).stdout.trim()).toBe("join.yaml");
});

/** Every file below the directories that a join writes to, with its digest. */
const filesOf = (node: TestNode) =>
  node.exec([
    "bash",
    "-c",
    "find /etc/kubernetes /var/lib/kubelet /var/lib/kubestick -type f | sort | xargs -r sha256sum",
  ]).stdout;

test("a dry run finds the cluster, shows what it would write, no secret, and changes nothing", () => {
  const command = joinConfig(TOKEN);
  const before = filesOf(worker);
  const out = worker.exec([...command, "--dry-run"], 60_000);
  expectDone(out);
  expect(out.stdout).toContain("Would write /var/lib/kubelet/config.yaml");
  expect(out.stdout).toContain("Would write /etc/kubernetes/pki/ca.crt");
  expect(out.stdout).not.toContain(TOKEN.split(".")[1]!);
  expect(filesOf(worker)).toBe(before);
  expect(worker.exec(["pgrep", "-x", "kubelet"]).status).toBe(1);
});

test("a phase can be run by itself, and kill -9 at the beginning of each leaves a host that goes on", async () => {
  const one = worker.exec([KUBESTICK[0]!, KUBESTICK[1]!, "join", "phase", "preflight", ...joinConfig(TOKEN).slice(3)]);
  expect({ status: one.status, found: one.stdout.includes("Found the cluster") }).toEqual({ status: 0, found: true });
  expect(one.stdout).not.toContain("This node has joined");
  for (const phase of ["preflight", "kubelet-start", "network"]) {
    const { killed } = await worker.killAt([...joinConfig(TOKEN), "-v"], `phase ${phase} begins`);
    expect({ phase, killed }).toEqual({ phase, killed: true });
  }
  const out = worker.exec(joinConfig(TOKEN), 120_000);
  expectDone(out);
  expect(worker.exec([...KUBESTICK, "reset", "--force"], 60_000).status).toBe(0);
  cp.kubectl("delete", "node", "jw1");
});

test("a worker killed in the middle of joining joins when the same command is run again, with a token made later", async () => {
  const token = cp.exec([...KUBESTICK, "token", "create", "--ttl=10m", "--single-use"], 30_000, true).stdout.trim();
  const { output } = await worker.killAt([...joinConfig(token), "-v"], "phase kubelet-start begins", 300);
  expect(output).toContain("phase kubelet-start begins");
  const out = worker.exec(joinConfig(token), 120_000);
  expectDone(out);
  expect(out.stdout).toContain("This node has joined the cluster");
  const node = JSON.parse(cp.kubectl("get", "node", "jw1", "-o", "json")) as {
    metadata: { labels: Record<string, string> };
    spec: { taints: { key: string }[] };
    status: { addresses: { type: string; address: string }[] };
  };
  // It has no default route, and knows its own name by a loopback address only.
  expect(node.status.addresses).toContainEqual({ type: "InternalIP", address: worker.ip });
  expect(node.metadata.labels["shelf"]).toBe("left");
  expect(node.spec.taints.map((t) => t.key)).toContain("class");
  await until(() => cp.kubectl("get", "nodes", "jw1").includes(" Ready "), 120_000, "the worker is Ready");
  expect(worker.exec(["ls", "/etc/kubernetes/bootstrap-kubelet.conf"]).status).not.toBe(0);
  // It was for one node.
  expect(cp.exec([...KUBESTICK, "token", "list"], 30_000, true).stdout).not.toContain(token.split(".")[0]!);
  expect(
    worker
      .exec([
        "grep",
        "-rl",
        token.split(".")[1]!,
        "/etc/kubernetes",
        "/var/lib/kubelet",
        "/var/lib/kubestick",
        "/var/log/kubestick",
      ])
      .stdout.trim(),
  ).toBe("/etc/kubernetes/join.yaml");
});

test("slips for a class: as many tokens as asked for, each for one node, as commands and QR codes", () => {
  const slips = cp.exec([...KUBESTICK, "token", "create", "--count=3", "--print-join-command"], 60_000, true).stdout;
  const tokens = [...slips.matchAll(/^kubestick join \S+ --token (\S+) --discovery-token-ca-cert-hash sha256:/gm)];
  expect(new Set(tokens.map((m) => m[1])).size).toBe(3);
  const role = cp.kubectl("get", "roles", "-n", "kube-system", "-o", "name");
  for (const [, token] of tokens) expect(role).toContain(`kubestick:single-use-${token!.split(".")[0]}`);
  expect(cp.exec([...KUBESTICK, "token", "create", "--qr"], 60_000, true).stdout).toMatch(
    /kubestick join .*\n[█▀▄ \n]{200,}/,
  );
});

test("run once more it changes nothing, and a second node of that name is refused", async () => {
  expect(worker.exec(joinConfig(TOKEN), 120_000).status).toBe(0);
  worker.exec(["bash", "-c", "rm /etc/kubernetes/kubelet.conf"], 5_000, true);
  const out = worker.exec(joinConfig(TOKEN), 60_000);
  expect({ status: out.status, said: out.stderr.includes("already has a node named jw1") || out.stderr }).toEqual({
    status: 1,
    said: true,
  });
});
