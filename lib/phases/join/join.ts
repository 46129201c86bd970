import { ApiClient } from "../../api/client.ts";
import { conditionsOf, mapOf, textOf } from "../../api/fields.ts";
import { findOnHostAside } from "../../binaries/on-host.ts";
import { splitToken } from "../../bootstrap/token.ts";
import { useUpToken } from "../../bootstrap/tokens.ts";
import { TLS_BOOTSTRAP_TIMEOUT } from "../../constants/durations.ts";
import { hostBinaryKind } from "../../constants/host-binaries.ts";
import { FLAT } from "../../constants/network.ts";
import { CERTIFICATES_DIR, KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import type { Files } from "../../host/files.ts";
import { type Connection, readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import { bootstrapKubelet, hasNodeCertificate } from "../../kubelet/bootstrap.ts";
import { fitKubeletConfig } from "../../kubelet/config.ts";
import { chooseNodeIp } from "../../kubelet/node-ip.ts";
import { familiesOf, formatCidr } from "../../net/ip.ts";
import { addressTowards, resolves } from "../../net/reach.ts";
import { readClusterNetwork } from "../../network/cluster.ts";
import { readCertificates } from "../../pki/pem.ts";
import { verifyBundle } from "../../preflight/bundle.ts";
import { runChecks, warnOfUnknown } from "../../preflight/check.ts";
import { INIT_CHECKS } from "../../preflight/init.ts";
import { CLUSTER_CHECKS, CONTROL_PLANE_CHECKS, JOIN_CHECKS } from "../../preflight/join.ts";
import { until } from "../../util/until.ts";
import { bundlePhase } from "../bundle.ts";
import { startKubelet } from "../kubelet-start.ts";
import { holdPods, startNodeAgent } from "../network.ts";
import type { Phase } from "../runner.ts";
import type { JoinContext } from "./context.ts";
import { CONTROL_PLANE_PHASES, controlPlanePreparePhase } from "./control-plane.ts";

const POLL_MS = 200;
const NEW_SERVER_MS = 15_000;

const preflightPhase: Phase<JoinContext> = {
  name: "preflight",
  short: "Run join pre-flight checks",
  live: true,
  run: async (ctx) => {
    ctx.ui.step("preflight", "Running pre-flight checks");
    verifyBundle(ctx);
    const ignored = ctx.options.ignorePreflightErrors;
    warnOfUnknown([...JOIN_CHECKS, ...CLUSTER_CHECKS, ...INIT_CHECKS], ignored, ctx.ui);
    await runChecks(JOIN_CHECKS, ctx, ctx.ui, ignored);
    ctx.ui.step("preflight", `Looking for the cluster at ${ctx.endpoint}`);
    const installed = findOnHostAside(hostBinaryKind("kubelet")!);
    const { server } = await ctx.discover();
    ctx.ui.step("preflight", `Found it: its CA and its signature are the expected ones; its API server is ${server}`);
    await warnOfName(ctx, server);
    const told = await (await ctx.client()).callIfAllowed("GET", "/version");
    const { decisions, options, node } = ctx;
    const checked = {
      decisions,
      options,
      node,
      kubelet: await installed,
      clusterVersion: textOf(told?.["gitVersion"]) || undefined,
    };
    await runChecks(CLUSTER_CHECKS, checked, ctx.ui, ignored);
    if (ctx.config.controlPlane) await runChecks(CONTROL_PLANE_CHECKS, await ctx.controlPlane(), ctx.ui, ignored);
  },
};

/** Said before it is waited for: the name may come with a DNS server that starts a little later. */
async function warnOfName(ctx: JoinContext, server: string): Promise<void> {
  const { hostname } = new URL(server);
  if (await resolves(hostname.replace(/^\[|\]$/g, ""))) return;
  ctx.ui.warn(
    `the cluster's API server is ${server}, and the name ${hostname} does not resolve on this host: add it to /etc/hosts (echo "ADDRESS ${hostname}" >> /etc/hosts), or to the DNS that this host asks`,
  );
}

const kubeletStartPhase: Phase<JoinContext> = {
  name: "kubelet-start",
  short: "Write kubelet settings, certificates and (re)start the kubelet",
  live: true,
  run: async (ctx) => {
    const { ui, ledger, files } = ctx;
    const cluster = await ctx.discover();
    const client = await ctx.client();
    const joined = hasNodeCertificate(files);
    if (!joined) await refuseTakenName(ctx, client);
    const shared = await ctx.sharedKubeletConfig();
    const driver =
      shared["cgroupDriver"] === undefined || ctx.options.dryRun ? undefined : await ctx.cri.cgroupDriver();
    const { local, adaptations } = fitKubeletConfig(shared, ctx.facts, driver);
    for (const { setting, why } of adaptations) ui.step("kubelet-start", `${setting} (because ${why})`);
    const caFile =
      textOf(mapOf(mapOf(shared["authentication"])?.["x509"])?.["clientCAFile"]) || `${CERTIFICATES_DIR}/ca.crt`;
    ledger.keep(KUBELET_KUBECONFIG);
    ledger.claim(KUBELET_KUBECONFIG);
    // kubeadm writes the CA where caCertPath says; the kubelet looks for it where the cluster's configuration says. A control
    // plane has the cluster's own file by now, in which more can stand behind the CA.
    for (const path of new Set([caFile, ctx.config.caCertPath || `${CERTIFICATES_DIR}/ca.crt`]))
      if (!holds(files, path, cluster.ca)) ledger.write(path, cluster.ca, { mode: 0o644 });
    if (!joined && ctx.options.dryRun) ui.step("kubelet-start", "Would ask the cluster for the kubelet's certificate");
    else if (!joined) {
      ui.step("kubelet-start", "Asking the cluster for the kubelet's certificate (TLS bootstrap)");
      await bootstrapKubelet({
        files,
        nodeName: ctx.nodeName,
        client,
        cluster,
        timeoutMs: ctx.timeout("tlsBootstrap", TLS_BOOTSTRAP_TIMEOUT),
        waiting: (request) => ui.live("kubelet-start", [`kubelet: waits for the certificate of ${request}`]),
        unsigned: (request) =>
          ui.warn(
            `${request} is approved, and nobody signs it. A control plane without ca.key (external CA) signs no kubelet's certificate; whoever has the key takes the request (kubectl get csr ${request} -o jsonpath='{.spec.request}'), signs it as a client's, and puts the certificate into the object's status.certificate`,
          ),
      });
    }
    const network = await readClusterNetwork(client);
    const { podRanges, serviceRanges } = network ?? { podRanges: [], serviceRanges: [] };
    const podNetworks = podRanges.map(({ cidr }) => formatCidr(cidr));
    const families = familiesOf((podNetworks.length > 0 ? podNetworks : serviceRanges).join());
    if (network?.kind === FLAT) holdPods(ctx);
    // A control plane is tainted when it is marked as one.
    await startKubelet(ctx, ctx.node, local, {
      registerTaints: !ctx.config.controlPlane,
      nodeIp: async () => chooseNodeIp(ctx.facts, families, await ownAddress(ctx, cluster.server)),
      serviceRanges,
    });
    if (ctx.options.dryRun) {
      ui.step("kubelet-start", `Would wait until the node ${ctx.nodeName} is registered`);
      return;
    }
    ui.step("kubelet-start", "Waiting for the kubelet to register the node");
    await registered(ctx);
    // A control plane still needs it, to find out what it must serve.
    if (ctx.bootstrapToken && !ctx.config.controlPlane) await useUp(ctx, client);
  },
};

/** Whether every CA of a PEM text stands in a file. Throws KubestickError when the file holds something else. */
function holds(files: Files, path: string, ca: string): boolean {
  const data = files.read(path);
  if (data === undefined) return false;
  const known = readCertificates(data, path);
  return readCertificates(ca, "the cluster's CA").every((wanted) => known.some(({ raw }) => raw.equals(wanted.raw)));
}

/** The address that the cluster reaches this node by: the one that reaches the cluster, whatever the default route is for. */
async function ownAddress(ctx: JoinContext, server: string): Promise<string | undefined> {
  if (ctx.config.controlPlane) return (await ctx.controlPlane()).config.localAPIEndpoint.advertiseAddress;
  const { hostname, port } = new URL(server);
  return addressTowards(hostname.replace(/^\[|\]$/g, ""), Number(port) || 443);
}

/** Deletes a token that was made for one node. */
async function useUp(ctx: JoinContext, client: ApiClient): Promise<void> {
  const { id } = splitToken(ctx.bootstrapToken!);
  if (await useUpToken(client, id)) ctx.ui.step("kubelet-start", `The token ${id} was for one node and is used up`);
}

/** Two kubelets under one name would fight over it; kubeadm looks for it too. */
async function refuseTakenName(ctx: JoinContext, client: ApiClient): Promise<void> {
  const node = await client.get("v1", "Node", ctx.nodeName);
  const ready = conditionsOf(node).some((c) => c.type === "Ready" && c.status === "True");
  if (ready) {
    throw new KubestickError(`the cluster already has a node named ${ctx.nodeName}, and it is Ready`, {
      hint: "give this one another name with --node-name, or remove the other: kubectl delete node NAME",
    });
  }
}

/** The kubelet's own credentials, which it has by now. */
function nodeConnection(files: Files): Connection {
  return readKubeconfig(files.readText(KUBELET_KUBECONFIG)!, KUBELET_KUBECONFIG, (file) => files.readText(file));
}

/** Waits until the API server knows the node. */
async function registered(ctx: JoinContext): Promise<void> {
  // Thirty boards that join at once keep a small control plane busy for longer than one call's time.
  const callTimeoutMs = Math.max(1, ctx.timeout("tlsBootstrap", TLS_BOOTSTRAP_TIMEOUT));
  const client = new ApiClient(nodeConnection(ctx.files), { callTimeoutMs, refusalsPassMs: callTimeoutMs });
  try {
    await until(() => client.get("v1", "Node", ctx.nodeName), {
      limitMs: callTimeoutMs,
      pauseMs: POLL_MS,
      waiting: () => {
        const state = ctx.services.isActive("kubelet") ? "registers the node" : "does not run";
        ctx.ui.live("kubelet-start", [`kubelet: ${state}`]);
      },
      what: `the kubelet did not register the node ${ctx.nodeName}`,
      hint: `look at its log: ${ctx.services.logCommand("kubelet")}`,
    });
  } finally {
    await client.close();
  }
}

/** join's phase `network`: the node agent, which finds out for itself what the cluster's network is. */
const networkPhase: Phase<JoinContext> = {
  name: "network",
  short: "Start the node agent",
  live: true,
  run: async (ctx) => {
    if (ctx.options.dryRun) {
      await startNodeAgent(ctx, undefined);
      return;
    }
    const client = new ApiClient(nodeConnection(ctx.files));
    try {
      // This control plane's own API server answers before it knows who has which rights.
      const patienceMs = ctx.config.controlPlane ? NEW_SERVER_MS : 0;
      await startNodeAgent(ctx, (await readClusterNetwork(client, patienceMs))?.kind);
    } finally {
      await client.close();
    }
  },
};

/** The phases of `join`: kubeadm's, in kubeadm's order, and the bundle's. */
export const JOIN_PHASES: Phase<JoinContext>[] = [
  preflightPhase,
  bundlePhase(),
  controlPlanePreparePhase,
  kubeletStartPhase,
  ...CONTROL_PLANE_PHASES,
  networkPhase,
];

/** What a finished join says. */
export const joined = (controlPlane: boolean): string => `
This node has joined the cluster${controlPlane ? " and a new control plane instance was created" : ""}:
* a certificate signing request was sent to the API server and a response was received;
* the kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.`;
