import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { cgroupVersion, makeCgroupRoot, removeCgroupRoot } from "../../lib/host/cgroups.ts";
import { expectDone } from "../support/done.ts";
import { attachedExecutable, ignoredChecks, localBundle } from "../support/local-bundle.ts";
import { TestNode, until } from "../support/node.ts";
import { hasSystemd, systemdBoot } from "../support/systemd.ts";

// A board as most are: systemd is its first process, and keeps containerd, the kubelet and the agent running.
const WORK = process.env["KUBESTICK_E2E_WORK"] ?? "/var/tmp/kubestick-e2e";
const work = join(WORK, "systemd");
const CGROUP = "kstest-systemd";
const board = new TestNode("sysd", 70, WORK);
const executable = join(board.dir, "kubestick");
const SERVICES = ["containerd", "kubelet", "kubestick-agent"];
const states = () =>
  board
    .exec(["systemctl", "is-active", ...SERVICES])
    .stdout.trim()
    .split("\n");

describe.skipIf(!hasSystemd())("a board with systemd", () => {
  beforeAll(async () => {
    fs.rmSync(work, { recursive: true, force: true });
    fs.mkdirSync(work, { recursive: true });
    makeCgroupRoot(CGROUP, cgroupVersion());
    await board.up(WORK, { bare: true, boot: systemdBoot(CGROUP) });
    const running = () => board.exec(["systemctl", "is-system-running"]).stdout.trim() === "running";
    await until(running, 30_000, "systemd has started");
    attachedExecutable(localBundle(work, WORK), executable);
  });
  afterAll(async () => {
    await board.down();
    removeCgroupRoot(CGROUP, cgroupVersion());
    fs.rmSync(work, { recursive: true, force: true });
  });

  test("init makes units of its services, and ends with a Ready node", async () => {
    expectDone(board.exec([executable, "init", ...ignoredChecks()], 300_000));
    expect(states()).toEqual(["active", "active", "active"]);
    expect(
      board
        .exec(["systemctl", "is-enabled", ...SERVICES])
        .stdout.trim()
        .split("\n"),
    ).toEqual(SERVICES.map(() => "enabled"));
    await until(() => board.kubectl("get", "nodes").includes(" Ready "), 120_000, "the node is Ready");
  });

  test("init again leaves the services running as they are", () => {
    const pids = () => SERVICES.map((name) => board.exec(["systemctl", "show", "-p", "MainPID", name]).stdout);
    const before = pids();
    expectDone(board.exec([executable, "init", ...ignoredChecks()], 300_000));
    expect(pids()).toEqual(before);
  });

  test("reset takes the units away again", () => {
    expectDone(board.exec([executable, "reset", "--force"], 120_000));
    expect(states()).toEqual(["inactive", "inactive", "inactive"]);
    expect(board.exec(["sh", "-c", "ls /etc/systemd/system | grep -E 'containerd|kube'"]).stdout).toBe("");
    expect(board.exec(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout.trim()).toBe("");
    expect(board.leftovers()).toMatchObject({ files: [], mounts: [], rules: [] });
  });
});
