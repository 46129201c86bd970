import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { componentImages, componentVersions, hasBinary } from "./binaries.ts";
import { KUBESTICK } from "./cluster.ts";
import { publishHostBinaries } from "./offline.ts";

/** Makes a bundle of the components, without a registry; gives its path. */
export function localBundle(work: string): string {
  const [published, bundle] = [join(work, "published"), join(work, "bundle.tar")];
  publishHostBinaries(published);
  const [program, ...words] = [...KUBESTICK, "bundle", "create", bundle, "--from", `${published},${componentImages(work)}`];
  run(program!, [...words, "--kubernetes-version", componentVersions().kubernetes], 300_000);
  fs.rmSync(published, { recursive: true });
  return bundle;
}

/** The flag that makes warnings of what the available components cannot pass; none where they are the supported ones. */
export function ignoredChecks(): string[] {
  const ignored = [
    ...(componentVersions().supported ? [] : ["KubernetesVersion"]),
    ...(hasBinary("coredns") ? [] : ["ImagePull"]),
  ];
  return ignored.length > 0 ? [`--ignore-preflight-errors=${ignored.join(",")}`] : [];
}
