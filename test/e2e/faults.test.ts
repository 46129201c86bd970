import { afterAll, beforeAll, expect, test } from "bun:test";
import { tryRun } from "../../lib/host/process.ts";
import { initCommand, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { TestNode, until } from "../support/node.ts";

const WORK = process.env["KUBESTICK_E2E_WORK"] ?? "/var/tmp/kubestick-e2e";
const cp = new TestNode("fcp", 41, WORK);
const worker = new TestNode("fw1", 42, WORK);
let pin = "";

beforeAll(async () => {
  for (const node of [cp, worker]) await node.up(WORK);
  const out = cp.exec(initCommand(cp), 300_000);
  expect({ status: out.status, stderr: out.status === 0 ? "" : out.stderr }).toEqual({ status: 0, stderr: "" });
  pin = /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
});
afterAll(async () => {
  await worker.down();
  await cp.down();
});

const join = () => [
  ...KUBESTICK,
  "join",
  `${cp.ip}:6443`,
  "--token",
  TOKEN,
  "--discovery-token-ca-cert-hash",
  pin,
  "-v",
];

/** The same command until it is done, as a person would; gives how often it was needed. */
function converge(): number {
  let said = "";
  for (let times = 1; times <= 4; times++) {
    const out = worker.exec(join(), 200_000);
    if (out.status === 0) return times;
    expect(out.stderr).not.toMatch(/defect of kubestick|\n\s+at /);
    said = out.stderr;
  }
  throw new Error(`join did not converge: ${said}`);
}

const registered = () => cp.kubectl("get", "nodes", "-o", "name").includes("node/fw1");

/** A clean node again; the cluster forgets it too. */
function leave(): void {
  worker.exec([...KUBESTICK, "reset", "--force"], 120_000, true);
  cp.kubectl("delete", "node", "fw1");
}

test("the API server restarting in the middle of a join", async () => {
  const child = worker.start(join());
  let output = "";
  let killed = false;
  child.stdout!.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (killed || !output.includes("phase kubelet-start begins")) return;
    killed = true;
    const find = "for p in $(pgrep -x kube-apiserver); do grep -q fcp /proc/$p/cgroup && echo $p; done";
    const pids = cp.exec(["bash", "-c", find]).stdout.trim().split("\n").filter(Boolean);
    for (const pid of pids) tryRun("kill", ["-9", pid]);
    killed = pids.length > 0;
  });
  child.stderr!.resume();
  await new Promise((resolve) => child.once("close", resolve));
  expect({ killed, output: killed ? "" : output }).toEqual({ killed: true, output: "" });
  await until(() => cp.exec(["kubectl", "get", "--raw", "/readyz"]).status === 0, 120_000, "the API server is back");
  converge();
  expect(registered()).toBe(true);
  leave();
});

test("a link that loses three packets of ten", () => {
  // Not every kernel has netem; nftables loses packets as well, but delays none.
  const rules = `table inet loss {
  chain input {
    type filter hook input priority 0
    iifname "eth0" numgen random mod 10 < 3 drop
  }
}`;
  worker.exec(["bash", "-c", `nft -f - <<< '${rules}'`], 10_000, true);
  try {
    converge();
  } finally {
    worker.exec(["nft", "delete", "table", "inet", "loss"], 10_000);
  }
  expect(registered()).toBe(true);
});
