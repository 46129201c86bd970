import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { cgroupVersion, makeCgroupRoot, removeCgroupRoot } from "../../lib/host/cgroups.ts";
import { ignoredChecks } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { attachedExecutable, localBundle } from "../support/local-bundle.ts";
import { TestNode, until, WORK } from "../support/node.ts";
import { bootOpenrc, unpackOpenrc } from "../support/openrc.ts";
import { hasSystemd, systemdBoot } from "../support/systemd.ts";

// Boards as most are: systemd or OpenRC keeps containerd, the kubelet and the agent running.
const work = join(WORK, "service-managers");
const CGROUP = "kstest-systemd";
const SERVICES = ["containerd", "kubelet", "kubestick-agent"];
const openrc = unpackOpenrc(join(WORK, "openrc"));
let bundle = "";

beforeAll(() => {
  fs.rmSync(work, { recursive: true, force: true });
  fs.mkdirSync(work, { recursive: true });
  bundle = localBundle(work, WORK);
});
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

interface Manager {
  name: string;
  missing: boolean;
  up(node: TestNode): Promise<void>;
  down(): void;
  /** Shell that succeeds when `$s` runs, when it starts with the host, and when it is known; one that shows its process id. */
  active: string;
  enabled: string;
  known: string;
  pid: string;
}

const MANAGERS: Manager[] = [
  {
    name: "systemd",
    missing: !hasSystemd(),
    async up(node) {
      makeCgroupRoot(CGROUP, cgroupVersion());
      await node.up({ bare: true, boot: systemdBoot(CGROUP) });
      const running = () => node.exec(["systemctl", "is-system-running"]).stdout.trim() === "running";
      await until(running, 30_000, "systemd has started");
    },
    down: () => removeCgroupRoot(CGROUP, cgroupVersion()),
    active: "systemctl -q is-active $s",
    enabled: "systemctl -q is-enabled $s",
    known: "[ -e /etc/systemd/system/$s.service ]",
    pid: "systemctl show -p MainPID $s",
  },
  {
    name: "OpenRC",
    missing: openrc === undefined,
    async up(node) {
      await node.up({ bare: true });
      bootOpenrc(node, openrc!);
    },
    down: () => undefined,
    active: "rc-service -q $s status",
    enabled: "[ -e /etc/runlevels/default/$s ]",
    known: "[ -e /etc/init.d/$s ]",
    pid: "cat /run/supervise-$s.pid",
  },
];

for (const manager of MANAGERS)
  describe.skipIf(manager.missing)(`a board with ${manager.name}`, () => {
    const board = new TestNode(`sm-${manager.name.toLowerCase()}`);
    const executable = join(board.dir, "kubestick");
    const init = () => expectDone(board.exec([executable, "init", ...ignoredChecks()], 300_000));
    const those = (condition: string) =>
      SERVICES.filter((name) => board.exec(["sh", "-c", `s=${name}; ${condition}`]).status === 0);
    const pids = () =>
      SERVICES.map((name) => board.exec(["sh", "-c", `s=${name}; ${manager.pid}`], 10_000, true).stdout);

    beforeAll(async () => {
      await manager.up(board);
      attachedExecutable(bundle, executable);
    });
    afterAll(async () => {
      await board.down();
      manager.down();
    });

    test("init makes services of all that must run, and ends with a Ready node", async () => {
      init();
      expect([those(manager.active), those(manager.enabled)]).toEqual([SERVICES, SERVICES]);
      await until(() => board.kubectl("get", "nodes").includes(" Ready "), 120_000, "the node is Ready");
    });

    test("init again leaves the services running as they are", () => {
      const before = pids();
      init();
      expect(pids()).toEqual(before);
    });

    test("a killed kubelet comes back", async () => {
      const kubelet = () => board.exec(["pgrep", "-x", "kubelet"]).stdout.trim();
      const before = kubelet();
      board.exec(["pkill", "-9", "-x", "kubelet"], 5_000, true);
      await until(() => kubelet() !== "" && kubelet() !== before, 30_000, "another kubelet");
    });

    test("reset takes the services away again", () => {
      expectDone(board.exec([executable, "reset", "--force"], 120_000));
      expect([those(manager.active), those(manager.enabled), those(manager.known)]).toEqual([[], [], []]);
      expect(board.leftovers()).toMatchObject({ files: [], mounts: [], rules: [] });
    });
  });
