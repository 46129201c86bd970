import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { CreatedToken, InitReport, JoinReport, ListedToken, ResetReport } from "kubestick";
import { ignoredChecks, nodeConfig } from "../support/cluster.ts";
import { TestNode, until } from "../support/node.ts";

const cp = new TestNode("lcp");
const worker = new TestNode("lw1");

beforeAll(async () => {
  await cp.up();
  await worker.up();
});
afterAll(async () => {
  await worker.down();
  await cp.down();
});

const PROGRAM = [process.execPath, join(import.meta.dir, "../support/library-program.ts")];
const REPORT = "/root/report.json";

/** Runs the program in a node, and gives what it reports; the library must not have printed anything. */
function does<T>(node: TestNode, what: string, input = "", timeoutMs = 300_000): T {
  node.write("/root/input", input);
  const ignored = ignoredChecks()[0]?.split("=")[1] ?? "";
  const out = node.exec(["env", `IGNORED=${ignored}`, ...PROGRAM, what, "/root/input", REPORT], timeoutMs);
  expect({ what, ...out }).toEqual({ what, status: 0, stdout: "", stderr: "" });
  return JSON.parse(node.file(REPORT)) as T;
}

const ready = (name: string) => cp.kubectl("get", "nodes", name).includes(" Ready ");
let token: CreatedToken;

test("a dry run tells what it would write, and writes nothing", () => {
  const report = does<InitReport>(cp, "dry run", nodeConfig(cp));
  expect(report.files!.map(({ path }) => path)).toContain("/etc/kubernetes/manifests/etcd.yaml");
  expect(cp.exec(["ls", "/etc/kubernetes/manifests"]).status).not.toBe(0);
});

test("a program makes a control plane, and a token for one node", async () => {
  const done = does<{ made: InitReport; token: CreatedToken; tokens: ListedToken[] }>(cp, "init", nodeConfig(cp));
  expect(done.made).toMatchObject({ node: "lcp", server: `https://${cp.ip}:6443`, dryRun: false });
  expect(done.made.phases.filter(({ status }) => status === "failed")).toEqual([]);
  expect(done.tokens.find(({ description }) => description === "made by a program")?.token).toBe(done.token.token);
  token = done.token;
  await until(() => ready("lcp"), 120_000, "the control plane is Ready");
});

test("a program joins a worker, whose token is gone then", async () => {
  const pin = /sha256:[0-9a-f]{64}/.exec(token.joinCommand)![0];
  const report = does<JoinReport>(
    worker,
    "join",
    `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {kubeletExtraArgs: [{name: cgroup-root, value: /${worker.cgroup}}]}
discovery: {bootstrapToken: {token: ${token.token}, apiServerEndpoint: "${cp.ip}:6443", caCertHashes: ["${pin}"]}}
`,
  );
  expect(report).toMatchObject({ node: "lw1", dryRun: false });
  await until(() => ready("lw1"), 120_000, "the worker is Ready");
  cp.write("/root/input", token.token);
  const gone = cp.exec([...PROGRAM, "delete tokens", "/root/input", REPORT], 60_000);
  expect(gone.stderr).toContain(`there is no token with the id ${token.token.split(".")[0]}`);
});

test("a program resets both where it says so, and nothing is left", () => {
  expect(does<{ refused: string }>(worker, "reset without a word").refused).toContain("was not confirmed");
  for (const node of [worker, cp]) {
    const { phases } = does<ResetReport>(node, "reset");
    expect(phases.map(({ phase, status }) => [phase, status])).toEqual([
      ["preflight", "done"],
      ["remove-etcd-member", node === cp ? "done" : "skipped"],
      ["cleanup-node", "done"],
    ]);
    expect(node.leftovers()).toMatchObject({ processes: ["containerd", "sleep"], mounts: [] });
    expect(node.exec(["ls", "/etc/kubernetes", "/var/lib/kubestick"]).stdout.trim()).toBe("");
  }
});
