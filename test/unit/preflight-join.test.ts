import { expect, test } from "bun:test";
import type { Decision } from "../../lib/binaries/plan.ts";
import type { KubestickError } from "../../lib/errors.ts";
import { runChecks } from "../../lib/preflight/check.ts";
import { CLUSTER_CHECKS } from "../../lib/preflight/join.ts";
import { silentUi } from "../support/ui.ts";

test("a joining node's kubelet must go with the cluster's version", async () => {
  const found = async (kubelet: string | undefined, brought?: string, dryRun = false) => {
    const install = { kind: { name: "kubelet" }, action: "install", binary: { version: brought } };
    const ctx = {
      decisions: () => (brought ? [install] : []) as unknown as Decision[],
      clusterVersion: "v1.36.2",
      kubelet: kubelet === undefined ? undefined : { path: "/usr/bin/kubelet", version: kubelet },
      node: { name: "n", criSocket: "" },
      programs: { lacks: () => !dryRun },
    };
    const error = await runChecks(CLUSTER_CHECKS, ctx, silentUi([]), new Set()).catch((e: KubestickError) => e.message);
    return error === undefined ? undefined : /\[KubeletVersion\] (.*)/.exec(error)![1];
  };
  for (const good of ["v1.36.0", "v1.36.9", "v1.33.0"]) expect(await found(good)).toBeUndefined();
  expect(await found("v1.37.0")).toMatch(
    /it is v1.37.0, and Kubernetes is v1.36.2; join with the kubestick of v1.36.2/,
  );
  expect(await found("v1.32.9")).toMatch(/it is v1.32.9/);
  expect(await found(undefined)).toMatch(/no kubelet on this host.*install the kubelet of v1.36.2/);
  expect(await found(undefined, undefined, true)).toBeUndefined();
  expect(await found("v1.20.0", "v1.36.1")).toBeUndefined();
  expect(await found("v1.36.0", "v1.37.0")).toMatch(/it is v1.37.0/);
});
