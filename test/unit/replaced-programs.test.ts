import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installBinary } from "../../lib/binaries/install.ts";
import { planBinaries } from "../../lib/binaries/plan.ts";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { Files } from "../../lib/host/files.ts";
import { keptAt, Ledger } from "../../lib/host/ledger.ts";
import { smallBundle } from "../support/small-bundle.ts";

let root: string;
let bundle: Bundle;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-programs-"));
  bundle = Bundle.open(smallBundle(join(root, "stick/b.tar")));
});
afterEach(() => {
  bundle.close();
  fs.rmSync(root, { recursive: true, force: true });
});

/** Installs every program over somebody else's, as with --force. */
async function installAll(files: Files): Promise<void> {
  const find = (kind: { name: string }) => ({ path: `/usr/bin/${kind.name}`, version: "v0.1.0" });
  const plan = planBinaries(bundle, { arch: "amd64", kubernetesVersion: "v1.36.2", force: true, files, find });
  for (const decision of plan) if (decision.action === "install") await installBinary(bundle, decision, files);
}

test("somebody else's programs are kept when they are replaced, kubestick's own are not", async () => {
  const files = new Files(root);
  files.write("/usr/bin/runc", "their runc", { mode: 0o4755 });
  files.write("/usr/bin/containerd", Buffer.alloc(2_000_000, 7), { mode: 0o755 });
  await installAll(files);
  const ledger = new Ledger(files);
  expect(files.readText("/usr/bin/runc")).toContain("echo runc");
  expect(files.readText("/usr/bin/ctr")).toContain("echo bin/ctr");
  expect(ledger.originals.map(([path]) => path)).toEqual(["/usr/bin/containerd", "/usr/bin/runc"]);
  expect(files.readText(keptAt("/usr/bin/runc"))).toBe("their runc");
  expect(fs.statSync(files.real(keptAt("/usr/bin/runc"))).mode & 0o7777).toBe(0o4755);
  expect(files.read(keptAt("/usr/bin/containerd"))).toEqual(Buffer.alloc(2_000_000, 7));
  expect(Object.keys(ledger.binaries).sort()).toEqual(["containerd", "runc"]);
  const before = files.readText("/var/lib/kubestick/ledger.json");
  ledger.noteBinary("runc", { ...ledger.binaries["runc"]!, digest: "sha256:of another bundle" });
  await installAll(files);
  expect(files.readText("/var/lib/kubestick/ledger.json")).toBe(before!);
  expect(files.readText(keptAt("/usr/bin/runc"))).toBe("their runc");
});
