import { afterAll, beforeAll, expect, test } from "bun:test";
import { initCommand } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { BRIDGE_ADDRESS, TestNode, until } from "../support/node.ts";

const node = new TestNode("f1");
const pidOf = (path: string) => Number(node.exec(["cat", path]).stdout);
const kubelet = () => Number(node.exec(["pgrep", "-x", "kubelet"]).stdout);
const RESIDENT = "/run/kubestick/resident.pid";

beforeAll(async () => {
  // An air-gapped board: one address, no default route, but a nameserver on the switch.
  await node.up({ resolvConf: `nameserver ${BRIDGE_ADDRESS}\n`, defaultRoute: false });
});
afterAll(async () => await node.down());

test("a control plane that does not come up: the container's exit code, its last words and what to check", () => {
  const command = initCommand(node);
  const broken = node.file("/etc/kubernetes/kubestick.yaml");
  node.write(
    "/etc/kubernetes/broken.yaml",
    broken
      .replace("networking:", "apiServer: {extraArgs: [{name: no-such-flag, value: x}]}\nnetworking:")
      .replace("bootstrapTokens:", "timeouts: {controlPlaneComponentHealthCheck: 20s}\nbootstrapTokens:"),
  );
  const out = node.exec(
    command.map((word) => word.replace("kubestick.yaml", "broken.yaml")),
    120_000,
  );
  expect(out.status).toBe(1);
  expect(out.stderr).toContain("not healthy after 20s: kube-apiserver");
  expect(out.stderr).toMatch(/kube-apiserver: container [0-9a-f]+ exited with code [1-9]/);
  expect(out.stderr).toContain("unknown flag: --no-such-flag");
  expect(out.stderr).toContain("what to do: look at the kubelet's log");
  expect(out.stderr).not.toMatch(/\n\s+at /);
});

test("the configuration mended, the same node ends in a cluster, and a usable nameserver is kept", async () => {
  const out = node.exec(initCommand(node), 300_000);
  expectDone(out);
  expect(node.file("/var/lib/kubelet/config.yaml")).not.toContain("resolvConf");
  expect(node.kubectl("get", "configmap", "-n", "kube-system", "coredns", "-o", "yaml")).toContain(
    "forward . /etc/resolv.conf",
  );
});

test("the one resident process starts a killed kubelet again, looks again on SIGHUP and ends with it on SIGTERM", async () => {
  const resident = pidOf(RESIDENT);
  expect(pidOf("/run/kubestick/kubestick-agent.pid")).toBe(resident);
  expect(node.exec(["pgrep", "-f", "kubestick.ts (supervise|node-agent)"]).stdout).toBe(`${resident}\n`);
  const first = kubelet();
  expect(first).toBeGreaterThan(1);
  expect(pidOf("/run/kubestick/kubelet.pid")).toBe(first);
  node.exec(["kill", "-9", String(first)], 5_000, true);
  await until(() => kubelet() > 1 && kubelet() !== first, 20_000, "the kubelet runs again");
  expect(pidOf(RESIDENT)).toBe(resident);
  expect(node.file("/var/log/kubestick/kubelet.log")).toContain("ended (SIGKILL); starting it again");
  const second = kubelet();
  node.exec(["sh", "-c", `touch /run/kubestick/kubelet.restart && kill -HUP ${resident}`], 5_000, true);
  await until(() => kubelet() > 1 && kubelet() !== second, 20_000, "the kubelet was restarted");
  const third = kubelet();
  node.exec(["kill", "-TERM", String(resident)], 5_000, true);
  await until(() => node.exec(["test", "-e", `/proc/${third}`]).status !== 0, 20_000, "the kubelet ended");
  await until(() => node.exec(["test", "-e", RESIDENT]).status !== 0, 20_000, "the pid file is gone");
});

test("a stale pid file does not stop the kubelet from starting", async () => {
  for (const path of ["/run/kubestick/kubelet.pid", RESIDENT]) node.write(path, "1\n");
  const out = node.exec(initCommand(node), 300_000);
  expect(out.status).toBe(0);
  expect(kubelet()).toBeGreaterThan(1);
});

test("a resident process that was killed is replaced by the next init, and the kubelet that it left goes on", async () => {
  const [resident, first] = [pidOf(RESIDENT), kubelet()];
  node.exec(["kill", "-9", String(resident)], 5_000, true);
  expectDone(node.exec(initCommand(node), 300_000));
  expect(pidOf(RESIDENT)).not.toBe(resident);
  expect([kubelet(), pidOf("/run/kubestick/kubelet.pid")]).toEqual([first, first]);
  node.exec(["kill", "-9", String(first)], 5_000, true);
  await until(() => kubelet() > 1 && kubelet() !== first, 20_000, "the kubelet runs again");
});
