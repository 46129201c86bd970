import { describe, expect, test } from "bun:test";
import type { HostBinary } from "../../lib/binaries/host-binary.ts";
import type { OnHost } from "../../lib/binaries/on-host.ts";
import { planBinaries } from "../../lib/binaries/plan.ts";
import { hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import { Files } from "../../lib/host/files.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { digestOf } from "../../lib/oci/descriptor.ts";

describe("which host binaries are installed", () => {
  const binary = (name: string, version: string): HostBinary => ({
    name,
    version,
    arch: "amd64",
    title: name,
    archive: hostBinaryKind(name)!.archive,
    blob: { digest: digestOf(name + version), size: 1 },
  });
  const bundle = { binaries: [binary("containerd", "v2.1.9"), binary("kubelet", "v1.36.2")] };
  const plan = (found: Record<string, OnHost>, force = false, files = new Files("/nowhere-kubestick")) =>
    Object.fromEntries(
      planBinaries(bundle, {
        arch: "amd64",
        kubernetesVersion: "v1.36.2",
        force,
        files,
        find: (kind) => found[kind.name],
      }).map((d) => [d.kind.name, d.action]),
    );

  test("what is missing is, what will do is kept, what will not do is refused unless forced", () => {
    expect(plan({})).toEqual({ containerd: "install", kubelet: "install" });
    const kubelet = (version: string) => ({ kubelet: { path: "/usr/bin/kubelet", version } });
    expect(plan(kubelet("v1.36.1"))["kubelet"]).toBe("keep");
    expect(plan(kubelet("v1.33.0"))["kubelet"]).toBe("keep");
    expect(plan(kubelet("v1.37.0"))["kubelet"]).toBe("refuse");
    expect(plan(kubelet("v1.20.0"))["kubelet"]).toBe("refuse");
    expect(plan(kubelet("v1.37.0"), true)["kubelet"]).toBe("install");
  });

  test("kubestick's own is replaced by another, not by an older one", () => {
    const files = new Files("/", { overlay: true });
    const own = (version: string) =>
      new Ledger(files).noteBinary("kubelet", { version, digest: digestOf(version), files: ["/bin/sh"] });
    const found = { kubelet: { path: "/bin/sh", version: "v0.0.0" } };
    own("v1.35.0");
    expect(plan(found, false, files)["kubelet"]).toBe("install");
    own("v1.36.9");
    expect(plan(found, false, files)["kubelet"]).toBe("keep");
  });
});
