import { TESTED } from "../lib/constants/tested.ts";
import {
  BUILD_DATE,
  KUBERNETES_VERSION,
  MINIMUM_CONTROL_PLANE_VERSION,
  NEWEST_CONTROL_PLANE_VERSION,
} from "../lib/constants/versions.ts";
import { printJson, printText } from "../lib/ui/ui.ts";
import packageJson from "../package.json";

/** Prints the versions, as text or JSON. */
export function runVersion(given: Map<string, string>): void {
  const info = {
    kubestickVersion: `v${packageJson.version}`,
    kubernetesVersion: KUBERNETES_VERSION,
    controlPlanes: { oldest: MINIMUM_CONTROL_PLANE_VERSION, newest: NEWEST_CONTROL_PLANE_VERSION.replace(/\d+$/, "x") },
    testedWith: TESTED,
    buildDate: BUILD_DATE,
    runtime: `bun ${Bun.version}`,
    platform: `linux/${{ x64: "amd64" }[process.arch as string] ?? process.arch}`,
  };
  if (given.get("output") === "json") printJson(info);
  else
    printText(
      `kubestick ${info.kubestickVersion} (Kubernetes ${info.kubernetesVersion}, ${info.platform}, ${info.runtime})`,
    );
}
