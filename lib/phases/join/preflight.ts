import { findOnHostAside } from "../../binaries/on-host.ts";
import { hostBinaryKind } from "../../constants/host-binaries.ts";
import { resolves } from "../../net/reach.ts";
import { verifyBundle } from "../../preflight/bundle.ts";
import { runChecks, warnOfUnknown } from "../../preflight/check.ts";
import { INIT_CHECKS } from "../../preflight/init.ts";
import { CLUSTER_CHECKS, CONTROL_PLANE_CHECKS, JOIN_CHECKS } from "../../preflight/join.ts";
import type { Ui } from "../../ui/ui.ts";
import { NO_BUNDLE, pullImages } from "../images.ts";
import { type Condition, type Phase, when } from "../runner.ts";
import type { Join } from "./context.ts";

/** The pods' network of a cluster that is there already is not this node's to choose. */
const NOT_CHOSEN = "none";

/** This node becomes a control plane, whose images are in no bundle. */
const PULLS: Condition<Join> = {
  holds: ({ node, config }) => config.controlPlane !== undefined && NO_BUNDLE.holds({ node }),
  otherwise: "this node joins as a worker, or the bundle has them",
};

/** join's phase `preflight`: checks of the host, then the cluster is found, then checks of the two together, and the images. */
export const preflightPhase: Phase<Join> = {
  name: "preflight",
  short: "Run join pre-flight checks",
  live: true,
  inputs: ["the host", "the bundle", "ConfigMap kube-public/cluster-info"],
  run: async ({ node, config, registration, discovery, access, asked, controlPlane }, step) => {
    step("Running pre-flight checks");
    verifyBundle(node);
    const ignored = asked.ignorePreflightErrors;
    warnOfUnknown([...JOIN_CHECKS, ...CLUSTER_CHECKS, ...INIT_CHECKS], ignored, node.ui);
    await runChecks(JOIN_CHECKS, { ...node, config }, node.ui, ignored);
    step(`Looking for the cluster at ${discovery.endpoint}`);
    const installed = findOnHostAside(hostBinaryKind("kubelet")!);
    const { server } = await discovery.find();
    step(`Found the cluster; CA pin and signature verified; its API server is ${server}`);
    await warnOfName(node.ui, server);
    const { decisions, programs } = node;
    const clusterVersion = await access.version();
    const checked = { decisions, programs, node: registration, kubelet: await installed, clusterVersion };
    await runChecks(CLUSTER_CHECKS, checked, node.ui, ignored);
    if (!config.controlPlane) return;
    const { cp } = await controlPlane();
    await runChecks(CONTROL_PLANE_CHECKS, { ...node, config: cp.config, network: NOT_CHOSEN }, node.ui, ignored);
  },
  children: [
    when(PULLS, {
      name: "images",
      short: "Pull the control plane's images that are not there",
      live: true,
      inputs: ["service containerd"],
      outputs: ["images"],
      run: async ({ controlPlane, asked }, step) =>
        pullImages((await controlPlane()).cp, asked.ignorePreflightErrors, step),
    }),
  ],
};

/** Said before it is waited for: the name may come with a DNS server that starts a little later. */
async function warnOfName(ui: Ui, server: string): Promise<void> {
  const { hostname } = new URL(server);
  if (await resolves(hostname.replace(/^\[|\]$/g, ""))) return;
  ui.warn(
    `the cluster's API server is ${server}, and the name ${hostname} does not resolve on this host: add it to /etc/hosts (echo "ADDRESS ${hostname}" >> /etc/hosts), or to the DNS that this host asks`,
  );
}
