import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { LAST_TIME_FILE } from "../../lib/constants/network.ts";
import { SERVICES_DIR } from "../../lib/constants/paths.ts";
import { tryRun } from "../../lib/host/process.ts";
import { initCommand, KUBESTICK, TOKEN } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode, until } from "../support/node.ts";

const cp = new TestNode("fcp");
const worker = new TestNode("fw1");
let pin = "";

beforeAll(async () => {
  for (const node of [cp, worker]) await node.up();
  const out = cp.exec(initCommand(cp), 300_000);
  expectDone(out);
  pin = /sha256:[0-9a-f]{64}/.exec(out.stdout)![0];
});
afterAll(async () => {
  await worker.down();
  await cp.down();
});

const joinCommand = () => [
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
    const out = worker.exec(joinCommand(), 200_000);
    if (out.status === 0) return times;
    expect(out.stderr).not.toMatch(/bug in kubestick|\n\s+at /);
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
  let killed = false;
  const { output } = await worker.runAnd(joinCommand(), "phase kubelet-start begins", () => {
    const find = `for p in $(pgrep -x kube-apiserver); do grep -q ${cp.cgroup} /proc/$p/cgroup && echo $p; done`;
    const pids = cp.exec(["bash", "-c", find]).stdout.trim().split("\n").filter(Boolean);
    for (const pid of pids) tryRun("kill", ["-9", pid]);
    killed = pids.length > 0;
  });
  expect({ killed, output: killed ? "" : output }).toEqual({ killed: true, output: "" });
  await until(() => cp.exec(["kubectl", "get", "--raw", "/readyz"]).status === 0, 120_000, "the API server is back");
  converge();
  expect(registered()).toBe(true);
  leave();
});

/** libfaketime gives one process tree a clock of its own, out of a file; no namespace does. */
const [faketime] = new Bun.Glob("usr/lib/*/faketime/libfaketimeMT.so.1").scanSync({ cwd: "/", absolute: true });
const CLOCK = "/run/clock";

/** A kubestick command with a clock that stands at a time; whoever sets it with `date` sets that one. */
function at(time: string, ...words: string[]): string[] {
  worker.write(CLOCK, `@${time}`);
  worker.write("/opt/clock/date", `#!/bin/sh\n/bin/date -u -d "$3" '+@%F %T' >${CLOCK}\n`);
  worker.exec(["chmod", "755", "/opt/clock/date"], 5_000, true);
  const faked = [
    `LD_PRELOAD=${faketime}`,
    `FAKETIME_TIMESTAMP_FILE=${CLOCK}`,
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    "TZ=UTC",
  ];
  return ["env", `PATH=/opt/clock:${worker.env["PATH"]}`, ...faked, ...words];
}

/** What that clock was set to. */
const clock = () => new Date(`${worker.file(CLOCK).slice(1).trim().replace(" ", "T")}Z`);

describe.skipIf(faketime === undefined)("clocks", () => {
  test("one that is too wrong for TLS is explained, and set by the control plane's", () => {
    const later = worker.exec(at("2061-01-01 00:00:00", ...joinCommand()), 100_000);
    expect({ status: later.status, said: /clock.*2061.*--sync-time/s.test(later.stderr) || later.stderr }).toEqual({
      status: 1,
      said: true,
    });
    expect(worker.exec(["find", "/etc/kubernetes", "/var/lib/kubelet", "-type", "f"]).stdout).toBe("");
    // A board without a battery: nobody needs to be asked.
    const first = worker.exec(at("1970-01-01 00:00:10", ...joinCommand()), 200_000);
    expectDone(first);
    expect(first.stdout).toContain("Set the clock from 1970-01-01T00:00:1");
    expect(Math.abs(clock().getTime() - Date.now())).toBeLessThan(120_000);
    expect(registered()).toBe(true);
  });

  test("one that runs hours behind the control plane's joins all the same", () => {
    leave();
    const behind = new Date(Date.now() - 9 * 3_600_000).toISOString().replace("T", " ").slice(0, 19);
    const joined = worker.exec(at(behind, ...joinCommand()), 200_000);
    expectDone(joined);
    expect(joined.stdout).not.toContain("Set the clock");
    expect(Math.abs(clock().getTime() - Date.parse(`${behind.replace(" ", "T")}Z`))).toBeLessThan(1_000);
    expect(registered()).toBe(true);
  });

  test("a service does not begin before the last time that was noted", async () => {
    worker.write(LAST_TIME_FILE, "2026-01-02T03:04:05.000Z\n");
    const spec = { name: "probe", description: "", program: "/bin/sleep", args: ["60"] };
    worker.write(`${SERVICES_DIR}/probe.json`, JSON.stringify(spec));
    worker.start(at("1970-01-01 00:00:10", ...KUBESTICK, "supervise")).unref();
    await until(() => clock().getFullYear() === 2026, 10_000, "the clock is set");
    expect(clock().toISOString()).toBe("2026-01-02T03:04:05.000Z");
    leave();
  });
});

const noTap = () => !fs.existsSync("/dev/net/tun");

test.skipIf(noTap())("a link that is slow, and loses three packets of ten", async () => {
  const words = [join(import.meta.dir, "../support/slow-link.ts"), "kst-near", "kst-far", "200", "30"];
  const link = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await new Promise((resolve) => link.stdout.once("data", resolve));
    worker.relink("kst-near", "kst-far");
    converge();
  } finally {
    link.kill("SIGKILL");
  }
  expect(registered()).toBe(true);
});
