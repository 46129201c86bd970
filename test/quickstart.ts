// The README's first command: builds kubestick for this machine and runs its main job, for real where that can be.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { missingForLab } from "../lib/lab/up.ts";
import { missingForCluster } from "./support/binaries.ts";
import { ignoredChecks } from "./support/cluster.ts";
import { EXECUTABLE, ROOT } from "./support/executable.ts";
import { attachedExecutable, localBundle } from "./support/local-bundle.ts";

/** Runs a command in view; gives whether it went well. */
function step(...command: string[]): boolean {
  const { status } = spawnSync(command[0]!, command.slice(1), { stdio: "inherit", cwd: ROOT });
  if (status !== 0) process.exitCode = status ?? 1;
  return status === 0;
}

function main(): void {
  if (!step(process.execPath, "build.ts")) return;
  process.env["KUBESTICK_E2E_BUILT"] = "1";
  const missing = missingForCluster() ?? missingForLab();
  if (missing === undefined) lab();
  else dryRun(missing);
}

/** A cluster of two bare nodes out of one file, as two boards would be. */
function lab(): void {
  const work = join(ROOT, "build/quickstart-lab");
  const flags = ["--name", "quick", "--dir", join(work, "labs")];
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  console.log(
    "making an offline bundle of the Kubernetes components on this machine, and one file of it and kubestick",
  );
  const kubestick = attachedExecutable(localBundle(work, work), join(work, "kubestick"));
  const up = ["lab", "up", "--nodes", "2", ...flags, ...ignoredChecks()];
  console.log(`\nkubestick ${up.join(" ")}\n`);
  try {
    const worked =
      step(kubestick, ...up) &&
      step(kubestick, "lab", "shell", "quick-1", ...flags, "--", "kubectl", "get", "pods", "-A", "-o", "wide");
    console.log(
      worked
        ? "\nThat was a real cluster: two bare nodes, made of namespaces on this machine, set up by init and join out of one file."
        : "\nThat did not work; the reason stands above.",
    );
  } finally {
    step(kubestick, "lab", "down", ...flags);
    rmSync(work, { recursive: true, force: true });
  }
  console.log("Next: a lab of your own with kubestick lab up, or sudo kubestick init on a board.");
}

function dryRun(missing: string): void {
  const target = join(ROOT, "build/quickstart");
  rmSync(target, { recursive: true, force: true });
  if (!step(EXECUTABLE, "init", "--dry-run", "--rootfs", target, "--pod-network-cidr", "10.244.0.0/16")) return;
  console.log(`\nThat was a dry run, because ${missing}. Every file and API object of the cluster is below build/quickstart:
look at build/quickstart/etc/kubernetes/manifests/kube-apiserver.yaml next. On a board with containerd, a kubelet and
the images, or with a bundle, the same without --dry-run and --rootfs makes the cluster.`);
}

main();
