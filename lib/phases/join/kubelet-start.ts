import { ApiClient } from "../../api/client.ts";
import { conditionsOf, mapOf, textOf } from "../../api/fields.ts";
import { splitToken, useUpToken } from "../../cluster/tokens.ts";
import { TLS_BOOTSTRAP_TIMEOUT } from "../../constants/durations.ts";
import { CM_KUBELET_CONFIG, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { FLAT } from "../../constants/network.ts";
import {
  CERTIFICATES_DIR,
  KUBELET_CLIENT_CURRENT,
  KUBELET_CONFIG_FILE,
  KUBELET_FLAGS_FILE,
  KUBELET_INSTANCE_CONFIG_FILE,
  KUBELET_KUBECONFIG,
  OWN_RESOLV_CONF,
} from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import type { Files } from "../../host/files.ts";
import { bootstrapKubelet, hasNodeCertificate } from "../../kubelet/bootstrap.ts";
import { fitKubeletConfig } from "../../kubelet/config.ts";
import { chooseNodeIp } from "../../kubelet/node-ip.ts";
import { familiesOf, formatCidr } from "../../net/ip.ts";
import { addressTowards } from "../../net/reach.ts";
import { readCertificates } from "../../pki/pem.ts";
import { until } from "../../util/until.ts";
import { startKubelet } from "../kubelet.ts";
import { holdPods } from "../node-agent.ts";
import type { Phase, Step } from "../runner.ts";
import type { Join } from "./context.ts";
import { timeoutOf } from "./discovery.ts";
import { nodeConnection } from "./node-connection.ts";

const POLL_MS = 200;

/** join's phase `kubelet-start`: the kubelet's certificate and configuration, until its node is registered. */
export const kubeletStartPhase: Phase<Join> = {
  name: "kubelet-start",
  short: "Write kubelet settings, certificates and (re)start the kubelet",
  live: true,
  inputs: [`ConfigMap ${NAMESPACE_SYSTEM}/${CM_KUBELET_CONFIG}`, "service containerd"],
  outputs: [
    `${CERTIFICATES_DIR}/ca.crt`,
    KUBELET_CLIENT_CURRENT,
    KUBELET_KUBECONFIG,
    KUBELET_FLAGS_FILE,
    KUBELET_INSTANCE_CONFIG_FILE,
    KUBELET_CONFIG_FILE,
    OWN_RESOLV_CONF,
    "CertificateSigningRequest node-csr-ID",
    "routes to Services",
    "service kubelet",
    "Node NAME",
  ],
  run: async (join, step) => {
    const { node, config, access, discovery } = join;
    const { files, ledger, waiting } = node;
    const { server, ca } = await discovery.find();
    const joined = hasNodeCertificate(files);
    if (!joined) await refuseTakenName(join);
    const shared = await access.kubeletConfig();
    const driver = shared["cgroupDriver"] === undefined ? undefined : await node.cri.cgroupDriver();
    const { local, adaptations } = fitKubeletConfig(shared, node.facts, driver);
    for (const { setting, why } of adaptations) step(`${setting} (because ${why})`);
    const caFile =
      textOf(mapOf(mapOf(shared["authentication"])?.["x509"])?.["clientCAFile"]) || `${CERTIFICATES_DIR}/ca.crt`;
    ledger.keep(KUBELET_KUBECONFIG);
    ledger.claim(KUBELET_KUBECONFIG);
    // kubeadm writes the CA where caCertPath says; the kubelet looks for it where the cluster's configuration says. A control
    // plane has the cluster's own file by now, in which more can stand behind the CA.
    for (const path of new Set([caFile, config.caCertPath || `${CERTIFICATES_DIR}/ca.crt`]))
      if (!holds(files, path, ca)) ledger.write(path, ca, { mode: 0o644 });
    if (!joined)
      await waiting.on("ask the cluster for the kubelet's certificate", step, () => askForCertificate(join, step));
    const network = await access.network();
    const { podRanges, serviceRanges } = network ?? { podRanges: [], serviceRanges: [] };
    const podNetworks = podRanges.map(({ cidr }) => formatCidr(cidr));
    const families = familiesOf((podNetworks.length > 0 ? podNetworks : serviceRanges).join());
    if (network?.kind === FLAT) holdPods(node, step);
    const start = {
      registration: join.registration,
      config: local,
      // A control plane is tainted when it is marked as one.
      registerTaints: !config.controlPlane,
      nodeIp: async () => chooseNodeIp(node.facts, families, await ownAddress(join, server)),
      serviceRanges,
    };
    await startKubelet(node, start, step);
    await waiting.on(`wait until the node ${node.name} is registered`, step, () => registered(join, step));
  },
};

/** The kubelet's TLS bootstrap; see bootstrapKubelet. */
async function askForCertificate({ node, config, access, discovery }: Join, step: Step): Promise<void> {
  step("Asking the cluster for the kubelet's certificate (TLS bootstrap)");
  await bootstrapKubelet({
    files: node.files,
    nodeName: node.name,
    client: await access.client(),
    cluster: await discovery.find(),
    timeoutMs: timeoutOf(config, "tlsBootstrap", TLS_BOOTSTRAP_TIMEOUT),
    waiting: (request) => step.live(`kubelet: waits for the certificate of ${request}`),
    unsigned: (request) =>
      node.ui.warn(
        `${request} is approved, and nobody signs it. A control plane without ca.key (external CA) signs no kubelet's certificate; whoever has the key takes the request (kubectl get csr ${request} -o jsonpath='{.spec.request}'), signs it as a client's, and puts the certificate into the object's status.certificate`,
      ),
  });
}

/** Whether every CA of a PEM text stands in a file. Throws KubestickError when the file holds something else. */
function holds(files: Files, path: string, ca: string): boolean {
  const data = files.read(path);
  if (data === undefined) return false;
  const known = readCertificates(data, path);
  return readCertificates(ca, "the cluster's CA").every((wanted) => known.some(({ raw }) => raw.equals(wanted.raw)));
}

/** The address that the cluster reaches this node by: the one that reaches the cluster, whatever the default route is for. */
async function ownAddress({ config, controlPlane }: Join, server: string): Promise<string | undefined> {
  if (config.controlPlane) return (await controlPlane()).cp.config.localAPIEndpoint.advertiseAddress;
  const { hostname, port } = new URL(server);
  return addressTowards(hostname.replace(/^\[|\]$/g, ""), Number(port) || 443);
}

/** Two kubelets under one name would fight over it; kubeadm looks for it too. */
async function refuseTakenName({ node: { name }, access }: Join): Promise<void> {
  const node = await (await access.client()).get("v1", "Node", name);
  const ready = conditionsOf(node).some((c) => c.type === "Ready" && c.status === "True");
  if (ready) {
    throw new KubestickError(`the cluster already has a node named ${name}, and it is Ready`, {
      hint: "give this one another name with --node-name, or remove the other: kubectl delete node NAME",
    });
  }
}

/** Waits until the API server knows the node, and deletes the token if it was made for this node alone. */
async function registered({ node, config, access, discovery }: Join, step: Step): Promise<void> {
  step("Waiting for the kubelet to register the node");
  // Thirty boards that join at once keep a small control plane busy for longer than one call's time.
  const callTimeoutMs = Math.max(1, timeoutOf(config, "tlsBootstrap", TLS_BOOTSTRAP_TIMEOUT));
  const client = new ApiClient(nodeConnection(node.files), { callTimeoutMs, refusalsPassMs: callTimeoutMs });
  try {
    await until(() => client.get("v1", "Node", node.name), {
      limitMs: callTimeoutMs,
      pauseMs: POLL_MS,
      waiting: () => step.live(`kubelet: ${node.services.isActive("kubelet") ? "registers the node" : "does not run"}`),
      what: `the kubelet did not register the node ${node.name}`,
      hint: `look at its log: ${node.services.logCommand("kubelet")}`,
    });
  } finally {
    await client.close();
  }
  // A control plane still needs it, to find out what it must serve.
  if (!discovery.bootstrapToken || config.controlPlane) return;
  const { id } = splitToken(discovery.bootstrapToken);
  if (await useUpToken(await access.client(), id)) step(`Deleted the single-use token ${id}`);
}
