import { textsOf } from "../../api/fields.ts";
import { apiServerKubeletClient } from "../../bootstrap/rbac.ts";
import { openCertificate, sharedCertificates } from "../../bootstrap/upload-certs.ts";
import { checkFamilies } from "../../config/checks/networks.ts";
import type { InitConfig } from "../../config/init-config.ts";
import { cluster as clusterKind } from "../../config/kinds/cluster.ts";
import { parseConfig } from "../../config/load.ts";
import { ConfigError } from "../../config/problems.ts";
import { CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM, SECRET_CERTS } from "../../constants/names.ts";
import { KUBELET_KUBECONFIG } from "../../constants/paths.ts";
import { KubestickError, UsageError } from "../../errors.ts";
import { readKubeconfig, withServer } from "../../kubeconfig/kubeconfig.ts";
import { markControlPlanePhase } from "../init/cluster.ts";
import { InitContext } from "../init/context.ts";
import { certsPhase, controlPlanePhase, kubeconfigPhase, prepareKeys } from "../init/files.ts";
import { waitControlPlanePhase } from "../init/wait.ts";
import { type Phase, runWhole } from "../runner.ts";
import type { JoinContext } from "./context.ts";
import { joinEtcd } from "./etcd.ts";

type JoinPhase = Phase<JoinContext>;

/** kubeconfigs of a joining control plane; the super administrator's stays on the first, the kubelet gets its own. */
const KUBECONFIGS = ["admin", "controller-manager", "scheduler"];

const workersOnly = (ctx: JoinContext) => (ctx.config.controlPlane ? undefined : "this node joins as a worker");

/** Reads the cluster's configuration and makes of it what `init` would work from on this node. Throws KubestickError. */
export async function controlPlaneContext(ctx: JoinContext): Promise<InitContext> {
  const client = await ctx.client();
  const map = await client.get("v1", "ConfigMap", CM_KUBEADM_CONFIG, NAMESPACE_SYSTEM);
  const source = `${NAMESPACE_SYSTEM}/${CM_KUBEADM_CONFIG}`;
  const parsed = parseConfig(textsOf(map?.["data"])["ClusterConfiguration"] ?? "", source);
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  if (!parsed.cluster) throw new KubestickError(`the ConfigMap ${source} holds no ClusterConfiguration`);
  // A cluster of kubeadm's that says nothing has RSA keys, unless the old gate asked for the others.
  const algorithm = parsed.cluster.featureGates?.["PublicKeysECDSA"] ? "ECDSA-P256" : "RSA-2048";
  const cluster = clusterKind.defaults({ encryptionAlgorithm: algorithm, ...parsed.cluster });
  if (!cluster.controlPlaneEndpoint)
    throw new KubestickError(
      "unable to add a new control plane: the cluster has no stable controlPlaneEndpoint, so its nodes know only the first one's address",
      { hint: "it is given when the first control plane is made: kubestick init --control-plane-endpoint NAME:6443" },
    );
  const kubelet = await ctx.sharedKubeletConfig();
  const config: InitConfig = {
    bootstrapTokens: [],
    localAPIEndpoint: ctx.localEndpoint(cluster.networking.serviceSubnet),
    nodeRegistration: ctx.node,
    ...(ctx.config.timeouts ? { timeouts: ctx.config.timeouts } : {}),
    cluster,
    kubelet: structuredClone(kubelet),
  };
  checkFamilies(config, (_path, message) => {
    throw new UsageError(`the cluster's networking.serviceSubnet: ${message}`);
  });
  const options = {
    ...ctx.options,
    rootfs: "/",
    uploadCerts: false,
    skipTokenPrint: true,
    skipCertificateKeyPrint: true,
    joining: true,
    network: "none",
  };
  return new InitContext(config, ctx.facts, ctx.files, ctx.ui, options, ctx.bundle, ctx.ledger, ctx.patches);
}

/** A control plane with a CA of its own would be another cluster. A CA's key may be elsewhere, where what it signs is here. */
function requireShared(cp: InitContext): void {
  const needed = Object.values(sharedCertificates(cp.config)).filter((path) => !path.endsWith("ca.key"));
  const missing = needed.filter((path) => !cp.files.exists(path));
  if (missing.length === 0) return;
  throw new KubestickError(`these files of the first control plane are not here: ${missing.join(", ")}`, {
    hint: "give the key with --certificate-key (on the first: kubestick init phase upload-certs --upload-certs), or copy them by hand",
  });
}

/** Gets the shared certificates out of the cluster, decrypted with the key, or sees that they were copied by hand. */
async function downloadCerts(ctx: JoinContext): Promise<void> {
  const cp = await ctx.controlPlane();
  const wanted = Object.entries(sharedCertificates(cp.config));
  const key = ctx.config.controlPlane?.certificateKey;
  if (!key) {
    requireShared(cp);
    return;
  }
  ctx.ui.step(
    "download-certs",
    `Downloading the certificates in Secret "${SECRET_CERTS}" in the "${NAMESPACE_SYSTEM}" Namespace`,
  );
  const again = "upload them again on the first control plane: kubestick init phase upload-certs --upload-certs";
  const client = await ctx.client();
  const secret = await client.get("v1", "Secret", SECRET_CERTS, NAMESPACE_SYSTEM);
  if (!secret)
    throw new KubestickError(
      `the Secret ${NAMESPACE_SYSTEM}/${SECRET_CERTS} is not there: it is kept for two hours only`,
      {
        hint: again,
      },
    );
  for (const [name, path] of wanted) {
    const sealed = textsOf(secret["data"])[name];
    if (sealed === undefined) throw new KubestickError(`the Secret ${SECRET_CERTS} lacks ${name}`, { hint: again });
    let data: Buffer;
    try {
      data = openCertificate(Buffer.from(sealed, "base64"), key);
    } catch {
      throw new KubestickError(
        `${name} in the Secret ${SECRET_CERTS} cannot be decrypted: the certificate key is another one`,
        {
          hint: again,
        },
      );
    }
    ctx.ledger.write(path, data, { mode: /\.(crt|pub)$/.test(path) ? 0o644 : 0o600, secret: true });
  }
}

/** Points the kubelet at this node's own API server, so that it does not depend on another's (ControlPlaneKubeletLocalMode). */
async function useLocalServer(ctx: JoinContext): Promise<void> {
  const cp = await ctx.controlPlane();
  const text = ctx.options.dryRun ? undefined : ctx.files.readText(KUBELET_KUBECONFIG);
  if (text === undefined) return;
  if (readKubeconfig(text, KUBELET_KUBECONFIG, (file) => ctx.files.readText(file) ?? "").server === cp.localServer)
    return;
  ctx.files.write(KUBELET_KUBECONFIG, withServer(text, cp.localServer, KUBELET_KUBECONFIG), {
    mode: 0o600,
    secret: true,
  });
  await ctx.services.restart("kubelet");
  ctx.ui.step("kubelet-wait-bootstrap", `The kubelet now uses this node's own API server, ${cp.localServer}`);
}

/** join's phase `control-plane-prepare`: certificates, kubeconfigs and manifests of a further control plane. */
export const controlPlanePreparePhase: JoinPhase = {
  name: "control-plane-prepare",
  short: "Prepare the machine for serving a control plane",
  live: true,
  skipIf: workersOnly,
  children: [
    {
      name: "download-certs",
      short: "Download certificates shared among control-plane nodes from the kubeadm-certs Secret",
      live: true,
      run: downloadCerts,
    },
    {
      name: "certs",
      short: "Generate the certificates for the new control plane components",
      live: true,
      run: async (ctx) => {
        const cp = await ctx.controlPlane();
        requireShared(cp);
        prepareKeys(cp, KUBECONFIGS);
        await runWhole({ ...certsPhase, run: undefined }, cp);
      },
    },
    {
      name: "kubeconfig",
      short: "Generate the kubeconfig for the new control plane components",
      live: true,
      run: async (ctx) => {
        const children = kubeconfigPhase.children!.filter((child) => KUBECONFIGS.includes(child.name));
        await runWhole({ ...kubeconfigPhase, children }, await ctx.controlPlane());
      },
    },
    {
      name: "control-plane",
      short: "Generate the manifests for the new control plane components",
      live: true,
      run: async (ctx) => runWhole(controlPlanePhase, await ctx.controlPlane()),
    },
  ],
};

/** The phases of a joining control plane after its kubelet runs, in kubeadm's order. */
export const CONTROL_PLANE_PHASES: JoinPhase[] = [
  {
    name: "etcd-join",
    short: "Join etcd for control plane nodes",
    live: true,
    skipIf: workersOnly,
    run: async (ctx) => {
      const cp = await ctx.controlPlane();
      if (!cp.config.cluster.etcd.external) await joinEtcd(cp);
    },
  },
  {
    name: "kubelet-wait-bootstrap",
    short: "Wait for the kubelet to bootstrap itself",
    live: true,
    skipIf: workersOnly,
    run: useLocalServer,
  },
  {
    name: "control-plane-join",
    short: "Join a machine as a control plane instance",
    live: true,
    skipIf: workersOnly,
    children: [
      {
        name: "mark-control-plane",
        short: "Mark a node as a control-plane",
        live: true,
        run: async (ctx) => {
          const cp = await ctx.controlPlane();
          // A cluster that was made by an older kubeadm lacks it: there that right came with the client's certificate.
          if (!ctx.options.dryRun) await cp.apply([apiServerKubeletClient()]);
          await runWhole(markControlPlanePhase, cp);
        },
      },
    ],
  },
  {
    name: "wait-control-plane",
    short: "Wait for the control plane to start",
    live: true,
    skipIf: workersOnly,
    run: async (ctx) => runWhole(waitControlPlanePhase, await ctx.controlPlane()),
  },
];
