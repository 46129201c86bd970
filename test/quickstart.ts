// The README's first command: builds kubestick for this machine and runs its main job, for real where that can be.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { missingForCluster } from "./support/binaries.ts";
import { initCommand } from "./support/cluster.ts";
import { EXECUTABLE, ROOT } from "./support/executable.ts";
import { TestNode } from "./support/node.ts";

const step = (command: string[]) => {
  const { status } = spawnSync(command[0]!, command.slice(1), { stdio: "inherit", cwd: ROOT });
  if (status !== 0) process.exit(status ?? 1);
};

step([process.execPath, "build.ts"]);
const missing = missingForCluster();
if (missing === undefined) {
  const work = join(ROOT, "build/quickstart-node");
  const node = new TestNode("quickstart", 9, work);
  try {
    console.log(
      "making a throw-away node: network, mount and UTS namespaces on this machine, nothing of the host itself",
    );
    await node.up(work);
    const command = initCommand(node).slice(2);
    console.log(`in it: kubestick ${command.join(" ")}\n`);
    const out = node.exec([EXECUTABLE, ...command], 300_000);
    process.stdout.write(out.stdout + out.stderr);
    if (out.status !== 0) process.exitCode = out.status;
    else console.log(`\n${node.kubectl("get", "nodes,pods", "-A")}`);
    const ended = process.exitCode ? "did not work; the reason stands above" : "was a real init";
    console.log(
      `That ${ended}. The node is taken down again. Next: sudo build/kubestick-* init on a board of your own.`,
    );
  } finally {
    await node.down();
    rmSync(work, { recursive: true, force: true });
  }
} else {
  const target = join(ROOT, "build/quickstart");
  rmSync(target, { recursive: true, force: true });
  step([EXECUTABLE, "init", "--dry-run", "--rootfs", target, "--pod-network-cidr", "10.244.0.0/16"]);
  console.log(`\nThat was a dry run, because ${missing}. Every file and API object of the cluster is below build/quickstart:
look at build/quickstart/etc/kubernetes/manifests/kube-apiserver.yaml next. On a board with containerd, a kubelet and
the images, the same without --dry-run and --rootfs makes the cluster.`);
}
