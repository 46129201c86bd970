import * as fs from "node:fs";
import { type Output, tryRun } from "../../lib/host/process.ts";
import type { Sandbox } from "./bare-sandbox.ts";
import { KUBESTICK } from "./cluster.ts";
import { expectDone } from "./done.ts";

/** Where a pod of a used host has a volume, below the kubelet's directory. */
export const VOLUME = "pods/1b5c/volumes/kubernetes.io~local-volume/data";

let made: string | undefined;

/** A host's files as init leaves them: made once, below a directory that goes with this process. */
function initFiles(): string {
  if (made !== undefined) return made;
  const root = fs.mkdtempSync("/var/tmp/kubestick-used-");
  process.once("exit", () => fs.rmSync(root, { recursive: true, force: true }));
  const words = ["init", "--dry-run", "--rootfs", root, "--apiserver-advertise-address", "10.0.0.5"];
  expectDone(tryRun(KUBESTICK[0]!, [...KUBESTICK.slice(1), ...words], 60_000));
  made = root;
  return root;
}

/** Makes a sandbox a node as init leaves it, with the directories of a pod. */
export function useHost(host: Sandbox): void {
  host.must(`for d in etc/kubernetes var/lib/kubestick var/lib/kubelet var/lib/etcd; do
      mkdir -p /$d; cp -a ${initFiles()}/$d/. /$d/
    done
    pod=/var/log/pods/ns_pod_1b5c
    mkdir -p /var/lib/kubelet/${VOLUME} /var/lib/kubelet/pki $pod/c /var/log/containers /var/lib/etcd/member/wal
    for f in /var/lib/kubelet/pki/kubelet.key /var/lib/etcd/member/wal/0 $pod/c/0.log; do echo x >$f; done
    ln -s $pod/c/0.log /var/log/containers/pod_ns_c-77.log`);
}

/** Everything of a used host that is still there. */
export const leftOf = (host: Sandbox): string[] =>
  host
    .sh(
      "find /etc/kubernetes /var/lib/kubestick /var/lib/kubelet/ /var/lib/etcd /var/log/pods /var/log/containers 2>/dev/null",
    )
    .stdout.split("\n")
    .filter(Boolean);

/** How a reset ended, and what it warned of besides that neither etcd nor a container runtime is there. */
export const ended = ({ status, stderr }: Output): { status: number; stderr: string } => ({
  status,
  stderr: stderr.replace(/^\[warn\] (this node could not be taken out of etcd|the pods cannot be removed).*\n/gm, ""),
});

/** The end of one that had nothing to warn of. */
export const CLEAN = { status: 0, stderr: "" };
