import { TESTED } from "../lib/constants/tested.ts";
import {
  BUILD_DATE,
  KUBERNETES_VERSION,
  MINIMUM_CONTROL_PLANE_VERSION,
  NEWEST_CONTROL_PLANE_VERSION,
} from "../lib/constants/versions.ts";
import packageJson from "../package.json";
import { COMMON_ARGS } from "./args/common.ts";
import { command } from "./command.ts";

export default command({
  name: "version",
  description: "Print the version of kubestick and of the Kubernetes it installs",
  kubeadm: true,
  args: COMMON_ARGS,
  examples: [
    ["In one line", "kubestick version"],
    ["With what it was tested with", "kubestick version --output json"],
  ],
  run: ({ out }) => {
    const info = {
      kubestickVersion: `v${packageJson.version}`,
      kubernetesVersion: KUBERNETES_VERSION,
      controlPlanes: {
        oldest: MINIMUM_CONTROL_PLANE_VERSION,
        newest: NEWEST_CONTROL_PLANE_VERSION.replace(/\d+$/, "x"),
      },
      testedWith: TESTED,
      buildDate: BUILD_DATE,
      runtime: `bun ${Bun.version}`,
      platform: `linux/${{ x64: "amd64" }[process.arch as string] ?? process.arch}`,
    };
    out.report(info);
    out.print(
      `kubestick ${info.kubestickVersion} (Kubernetes ${info.kubernetesVersion}, ${info.platform}, ${info.runtime})`,
    );
  },
});
