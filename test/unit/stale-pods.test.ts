import { expect, test } from "bun:test";
import { staleSandboxes } from "../../lib/phases/init/stale-pods.ts";

const at = (seconds: number) => BigInt(seconds) * 1_000_000_000n;
const sandbox = (id: string, pod: string, seconds: number, namespace = "kube-system") => ({
  id,
  pod,
  namespace,
  createdAt: at(seconds),
});

test("a static pod that is older than its manifest is stale, and no other pod", () => {
  const sandboxes = [
    sandbox("old", "kube-apiserver-cp", 100),
    sandbox("new", "kube-apiserver-cp", 201),
    sandbox("etcd", "etcd-cp", 100),
    sandbox("another node's name", "kube-apiserver-cp2", 100),
    sandbox("a user's", "kube-apiserver-cp", 100, "default"),
  ];
  const manifests = new Map([
    ["kube-apiserver", 200_000],
    ["etcd", 99_000],
  ]);
  expect(staleSandboxes(sandboxes, "cp", manifests).map(({ id }) => id)).toEqual(["old"]);
  expect(staleSandboxes(sandboxes, "cp", new Map())).toEqual([]);
});
