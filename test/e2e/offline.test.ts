import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { componentImages, PAUSE_IMAGE } from "../support/binaries.ts";
import { ignoredChecks, KUBESTICK } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { ROOT } from "../support/executable.ts";
import { builtExecutable } from "../support/local-bundle.ts";
import { TestNode, until, WORK } from "../support/node.ts";
import { publishHostBinaries, publishImages, writeLock } from "../support/offline.ts";
import { downloadSite, TestRegistry } from "../support/registry.ts";

const offline = join(WORK, "offline");
const board = new TestNode("board1");
const second = new TestNode("board2");
const missing = ["docker-registry", "skopeo"].filter((name) => !findProgram(name));

/** Whether a file can stand for a disk here. */
const loops = () => fs.existsSync("/dev/loop-control") && findProgram("mkfs.ext4") !== undefined;

/** Runs a program of this machine without holding up the servers of this process. */
async function here(...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ command, status: await child.exited, err }).toEqual({ command, status: 0, err: expect.any(String) });
  return out;
}

describe.skipIf(missing.length > 0)("init from one file on a bare node", () => {
  const executable = join(board.dir, "kubestick");
  const copy = join(second.dir, "kubestick");
  /** The digest of the user's own image. */
  let waiter: string;
  const init = (...flags: string[]) => [
    executable,
    "init",
    "--pod-network-cidr",
    "10.244.0.0/16",
    ...ignoredChecks(),
    ...flags,
  ];

  beforeAll(async () => {
    fs.rmSync(offline, { recursive: true, force: true });
    fs.mkdirSync(offline, { recursive: true });
    const registry = await TestRegistry.start(join(offline, "registry"));
    const published = join(offline, "published");
    const binaries = publishHostBinaries(published);
    const site = downloadSite(() => fs.readdirSync(published).map((name) => join(published, name)));
    try {
      const lock = join(offline, "lock.yaml");
      const images = publishImages(WORK, registry);
      writeLock(lock, images, binaries, site.url);
      // An image of the user's own, from Docker Hub as far as anybody can tell.
      registry.push(`oci-archive:${componentImages(WORK)}:${PAUSE_IMAGE}`, "library/waiter:1");
      waiter = Object.values(images.find(({ name }) => name === PAUSE_IMAGE)!.manifests)[0]!.digest;
      await here(
        ...KUBESTICK,
        "bundle",
        "create",
        join(offline, "bundle.tar"),
        "--lock",
        lock,
        "--registry-mirror",
        registry.url,
        "--image",
        "waiter:1",
      );
    } finally {
      site.stop();
      registry.stop();
    }
    for (const node of [board, second]) await node.up({ bare: true, defaultRoute: false });
    await here(
      ...KUBESTICK,
      "bundle",
      "attach",
      join(offline, "bundle.tar"),
      "--executable",
      builtExecutable(),
      "--file",
      executable,
    );
    fs.copyFileSync(executable, copy);
  });
  afterAll(async () => {
    await second.down();
    await board.down();
    fs.rmSync(offline, { recursive: true, force: true });
  });

  test("the node has nothing of Kubernetes", () => {
    for (const program of ["containerd", "ctr", "runc", "kubelet", "kubectl", "containerd-shim-runc-v2"])
      expect([program, board.exec(["sh", "-c", `command -v ${program}`]).status]).toEqual([program, 127]);
    expect(
      board.exec(["ls", "/opt/cni", "/etc/containerd", "/var/lib/containerd", "/var/lib/kubelet"]).stdout,
    ).not.toMatch(/bin|toml|io\./);
  });

  test("a run killed during the import of the images leaves a host that the next one finishes", async () => {
    const { killed, output } = await board.killAt(init("-v"), "phase bundle/images begins", 400);
    expect({ killed, output: killed ? "" : output }).toEqual({ killed: true, output: "" });
  });

  test.skipIf(!loops())("so does one whose stick was pulled during it", async () => {
    const stick = join(offline, "stick.img");
    const bundle = join(offline, "bundle.tar");
    fs.closeSync(fs.openSync(stick, "w"));
    fs.truncateSync(stick, fs.statSync(bundle).size + 64 * 1024 * 1024);
    await here("mkfs.ext4", "-q", stick);
    const mount = (...flags: string[]) => [
      "sh",
      "-c",
      `mkdir -p /run/stick && mount ${flags.join(" ")} ${stick} /run/stick`,
    ];
    board.exec(mount("-o", "loop"), 20_000, true);
    // Unmounted in between, so that it is read from the stick and not from memory.
    board.exec(["sh", "-c", `cp ${bundle} /run/stick/ && umount /run/stick`], 60_000, true);
    board.exec(mount("-o", "loop,ro"), 20_000, true);
    const command = init("-v", "--bundle", "/run/stick/bundle.tar");
    const { status, output } = await board.runAnd(command, "phase bundle/images begins", () => {
      fs.truncateSync(stick, 0);
      // A board has not the memory to keep what it read when it verified the bundle. Of this file alone: to drop all
      // that a large machine keeps takes longer than the import.
      board.exec(["dd", "if=/run/stick/bundle.tar", "iflag=nocache", "count=0"], 20_000, true);
    });
    expect({ status, output }).toEqual({
      status: 1,
      output: expect.stringContaining("is the stick or disk still connected?"),
    });
    board.exec(["umount", "/run/stick"], 20_000, true);
  });

  test("ends with a ready control plane", async () => {
    const out = board.exec(init(), 300_000);
    expectDone(out);
    const ready = () => {
      const { items } = JSON.parse(board.kubectl("get", "pods", "-n", "kube-system", "-o", "json")) as {
        items: { metadata: { name: string }; status: { containerStatuses?: { ready: boolean }[] } }[];
      };
      return items
        .filter((p) => p.status.containerStatuses?.every((c) => c.ready))
        .map((p) => p.metadata.name.replace(/-(board1|\w{5})$/, ""));
    };
    const wanted = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"];
    await until(() => wanted.every((name) => ready().includes(name)), 200_000, "the control plane's pods ready");
    expect(board.kubectl("get", "nodes", "-o", "name").trim()).toBe("node/board1");
    expect(board.file("/etc/sysctl.d/99-kubestick.conf")).toContain("net.ipv4.ip_forward = 1");
  });

  test("nothing was pulled, and the images are pinned", () => {
    const log = board.file("/var/log/kubestick/containerd.log");
    expect(log).toContain("containerd successfully booted");
    expect(log).not.toMatch(/PullImage/);
    const listed = board.exec(["ctr", "-n", "k8s.io", "images", "list"], 10_000, true).stdout;
    expect(listed).toMatch(/kube-apiserver.*io\.cri-containerd\.pinned=pinned/);
  });

  test("pods run an image by every spelling of its name, whether or not it may be pulled", async () => {
    const spellings = [
      "waiter:1",
      `waiter:1@${waiter}`,
      `docker.io/library/waiter@${waiter}`,
      `${PAUSE_IMAGE}@${waiter}`,
    ];
    const pods = spellings.flatMap((image, i) =>
      ["Never", "IfNotPresent"].map((policy) => ({ name: `spelled-${i}-${policy.toLowerCase()}`, image, policy })),
    );
    const spec = {
      nodeName: "board1",
      hostNetwork: true,
      tolerations: [{ operator: "Exists" }],
      terminationGracePeriodSeconds: 0,
    };
    const overrides = `--overrides=${JSON.stringify({ spec })}`;
    await until(
      () => board.kubectl("get", "serviceaccounts", "-o", "name").includes("default"),
      60_000,
      "the default account",
    );
    for (const { name, image, policy } of pods)
      board.kubectl("run", name, `--image=${image}`, `--image-pull-policy=${policy}`, overrides);
    const phases = () =>
      board.kubectl("get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.name}={.status.phase} {end}");
    const running = pods.map(({ name }) => `${name}=Running`).sort();
    await until(() => phases().trim().split(" ").sort().join() === running.join(), 120_000, "all of them running");
    board.kubectl("delete", "pods", "--all", "--wait=true");
    expect(board.file("/var/log/kubestick/containerd.log")).not.toMatch(/PullImage/);
  });

  test("a second run installs and imports nothing again", () => {
    const out = board.exec(init(), 300_000);
    expect(out.status).toBe(0);
    expect(out.stdout).toMatch(/Imported 0 images/);
    expect(out.stdout).not.toMatch(/Installed|Starting containerd/);
  });

  test("a second bare board joins with the same file, and both become Ready", async () => {
    const slip = board.exec([executable, "token", "create", "--print-join-command"], 30_000, true).stdout.trim();
    const out = second.exec([copy, ...slip.split(" ").slice(1)], 300_000);
    expectDone(out);
    // It shares this kernel with the first one's kubelet, which it finds out by itself.
    expect(out.stdout).toContain('kubelet cgroupRoot: "/kubestick-board2"');
    const conditions = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}';
    const ready = () => board.kubectl("get", "nodes", "-o", `jsonpath=${conditions}`).trim();
    await until(() => ready() === "board1=True board2=True", 120_000, "both boards Ready");
    expect(second.file("/var/log/kubestick/containerd.log")).not.toMatch(/PullImage/);
  });

  test("reset leaves nothing of it behind", () => {
    for (const [node, program] of [
      [second, copy],
      [board, executable],
    ] as const) {
      const out = node.exec([program, "reset", "--force"], 120_000);
      expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
      expect(node.leftovers()).toEqual({ files: [], processes: ["sleep"], mounts: [], rules: [] });
      expect(node.exec(["sh", "-c", "command -v containerd kubelet kubectl ctr runc"]).stdout).toBe("");
      expect(node.exec(["ip", "-o", "link"]).stdout.match(/^\d+: [^:@]+/gm)).toHaveLength(2);
    }
  });
});
