import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { componentImages, componentVersions } from "./binaries.ts";
import { KUBESTICK } from "./cluster.ts";
import { EXECUTABLE, ROOT } from "./executable.ts";
import { publishHostBinaries } from "./offline.ts";

/** Makes a bundle of the components in a directory, without a registry; gives its path. */
export function localBundle(dir: string, work: string): string {
  const [published, bundle] = [join(dir, "published"), join(dir, "bundle.tar")];
  publishHostBinaries(published);
  const [program, ...words] = [
    ...KUBESTICK,
    "bundle",
    "create",
    bundle,
    "--from",
    `${published},${componentImages(work)}`,
  ];
  run(program!, [...words, "--kubernetes-version", componentVersions().kubernetes], 300_000);
  fs.rmSync(published, { recursive: true });
  return bundle;
}

/** This machine's executable, made of these sources unless the test run has done so already. */
export function builtExecutable(): string {
  if (!process.env["KUBESTICK_E2E_BUILT"]) run(process.execPath, [join(ROOT, "build.ts")], 300_000);
  return EXECUTABLE;
}

/** Writes the executable with a bundle attached to a file; gives its path. */
export function attachedExecutable(bundle: string, file: string): string {
  const [program, ...words] = [...KUBESTICK, "bundle", "attach", bundle, "--executable", builtExecutable()];
  run(program!, [...words, "--file", file], 300_000);
  return file;
}
