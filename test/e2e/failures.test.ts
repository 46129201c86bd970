import { afterAll, beforeAll, expect, test } from "bun:test";
import { initCommand } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { BRIDGE_ADDRESS, TestNode, until } from "../support/node.ts";

const node = new TestNode("f1");
const pidOf = (path: string) => Number(node.exec(["cat", path]).stdout);
const kubelet = () => Number(node.exec(["bash", "-c", "pgrep -P $(cat /run/kubestick/kubelet.pid) -x kubelet"]).stdout);

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

test("our supervisor starts a killed kubelet again, restarts it on SIGHUP and ends with it on SIGTERM", async () => {
  const supervisor = pidOf("/run/kubestick/kubelet.pid");
  const first = kubelet();
  expect(first).toBeGreaterThan(1);
  node.exec(["kill", "-9", String(first)], 5_000, true);
  await until(() => kubelet() > 1 && kubelet() !== first, 20_000, "the kubelet runs again");
  expect(pidOf("/run/kubestick/kubelet.pid")).toBe(supervisor);
  expect(node.file("/var/log/kubestick/kubelet.log")).toContain("ended (SIGKILL); starting it again");
  const second = kubelet();
  node.exec(["kill", "-HUP", String(supervisor)], 5_000, true);
  await until(() => kubelet() > 1 && kubelet() !== second, 20_000, "the kubelet was restarted");
  const third = kubelet();
  node.exec(["kill", "-TERM", String(supervisor)], 5_000, true);
  await until(() => node.exec(["test", "-e", `/proc/${third}`]).status !== 0, 20_000, "the kubelet ended");
  await until(
    () => node.exec(["test", "-e", "/run/kubestick/kubelet.pid"]).status !== 0,
    20_000,
    "the pid file is gone",
  );
});

test("a stale pid file does not stop the kubelet from starting", async () => {
  node.write("/run/kubestick/kubelet.pid", "1\n");
  const out = node.exec(initCommand(node), 300_000);
  expect(out.status).toBe(0);
  expect(kubelet()).toBeGreaterThan(1);
});
