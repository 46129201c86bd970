// The README's first command: builds kubestick for this machine and runs its main job, for real where that can be.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { reason } from "../lib/errors.ts";
import { removeTree } from "../lib/host/remove.ts";
import { missingForLab } from "../lib/lab/up.ts";
import { paragraph } from "../lib/ui/text.ts";
import { missingForCluster } from "./support/binaries.ts";
import { ignoredChecks } from "./support/cluster.ts";
import { EXECUTABLE, ROOT } from "./support/executable.ts";
import { type FetchFlags, fetchedBundle, isKept, unreachable } from "./support/fetched-bundle.ts";
import { attachedExecutable, localBundle } from "./support/local-bundle.ts";

const WORK = join(ROOT, "build/quickstart-lab");

/** Runs a command in view; gives whether it went well. */
function run(...command: string[]): boolean {
  return spawnSync(command[0]!, command.slice(1), { stdio: "inherit", cwd: ROOT }).status === 0;
}

/** As run; a failure is the quickstart's. */
function step(...command: string[]): boolean {
  const worked = run(...command);
  if (!worked) process.exitCode = 1;
  return worked;
}

async function main(): Promise<void> {
  const string = { type: "string" } as const;
  const options = { lock: string, "registry-mirror": string, "download-mirror": string };
  const flags = parseArgs({ options }).values as FetchFlags;
  if (!step(process.execPath, "build.ts")) return;
  process.env["KUBESTICK_E2E_BUILT"] = "1";
  const noLab = missingForLab();
  if (noLab !== undefined) return dryRun(noLab);
  const noComponents = missingForCluster();
  rmSync(WORK, { recursive: true, force: true });
  if (noComponents === undefined) {
    console.log("making an offline bundle of the Kubernetes components on this machine");
    mkdirSync(WORK, { recursive: true });
    return lab(localBundle(WORK, WORK), ignoredChecks());
  }
  const { file, lock, command } = fetchedBundle(flags);
  const kept = isKept(file, run);
  const offline = kept ? undefined : await unreachable(lock, flags);
  if (offline !== undefined) return dryRun(`${noComponents}, and they cannot be downloaded: ${offline}`);
  if (kept) console.log(`using the bundle that an earlier run made, ${relative(ROOT, file)}`);
  else {
    console.log(`\nmaking an offline bundle of Kubernetes ${lock.kubernetesVersion} out of what its publishers offer`);
    if (!run(...command))
      return dryRun(
        `${noComponents}, and the bundle could not be made of downloads, as said above; what has come is kept, and the same command goes on with it`,
      );
  }
  lab(file, []);
  console.log(`The bundle is kept for the next time, and for boards: ${relative(ROOT, file)}`);
}

/** A cluster of two bare nodes out of one file, as two boards would be. */
function lab(bundle: string, checks: string[]): void {
  const flags = ["--name", "quick", "--dir", join(WORK, "labs")];
  mkdirSync(WORK, { recursive: true });
  const kubestick = attachedExecutable(bundle, join(WORK, "kubestick"));
  const up = ["lab", "up", "--nodes", "2", ...flags, ...checks];
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
    removeTree(WORK);
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

try {
  await main();
} catch (error) {
  // A flag or a lock file that is none.
  console.error(`error: ${paragraph(reason(error))}`);
  process.exitCode = 1;
}
