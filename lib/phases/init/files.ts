import { GROUP_MASTERS, GROUP_NODES, USER_NODE_PREFIX } from "../../constants/names.ts";
import { KUBERNETES_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import { KubestickError, moveAway } from "../../errors.ts";
import { kubeconfig, readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import {
  CA_CERTIFICATE_DIRS,
  CONTROL_PLANE_COMPONENTS,
  type ComponentName,
  componentPod,
} from "../../manifests/control-plane.ts";
import { applyPatches } from "../../manifests/patches.ts";
import { certificatePem } from "../../pki/certificate.ts";
import { ADMIN_IDENTITY, CERTIFICATES, type ClientIdentity } from "../../pki/kubeadm-certs.ts";
import { readCertificates } from "../../pki/pem.ts";
import type { Outcome } from "../../pki/store.ts";
import { sortedYaml, writeYaml } from "../../yaml/write.ts";
import type { Phase } from "../runner.ts";
import type { InitContext } from "./context.ts";

type InitPhase = Phase<InitContext>;

/** A kubeconfig that init writes: file name, whose identity, and which address it uses. */
interface KubeconfigSpec {
  name: string;
  file: string;
  short: string;
  identity: (ctx: InitContext) => ClientIdentity;
  local?: boolean;
}

const KUBECONFIGS: KubeconfigSpec[] = [
  {
    name: "admin",
    file: "admin.conf",
    short: "Generate a kubeconfig file for the admin to use and for kubestick itself",
    identity: () => ADMIN_IDENTITY,
  },
  {
    name: "super-admin",
    file: "super-admin.conf",
    short: "Generate a kubeconfig file for the super-admin",
    identity: () => ({ commonName: "kubernetes-super-admin", organizations: [GROUP_MASTERS] }),
  },
  {
    name: "kubelet",
    file: "kubelet.conf",
    short: "Generate a kubeconfig file for the kubelet to use *only* for cluster bootstrapping purposes",
    identity: (ctx) => ({
      commonName: `${USER_NODE_PREFIX}${ctx.config.nodeRegistration.name}`,
      organizations: [GROUP_NODES],
    }),
    local: true,
  },
  {
    name: "controller-manager",
    file: "controller-manager.conf",
    short: "Generate a kubeconfig file for the controller manager to use",
    identity: () => ({ commonName: "system:kube-controller-manager", organizations: [] }),
    local: true,
  },
  {
    name: "scheduler",
    file: "scheduler.conf",
    short: "Generate a kubeconfig file for the scheduler to use",
    identity: () => ({ commonName: "system:kube-scheduler", organizations: [] }),
    local: true,
  },
];

const SAID: Record<Outcome, string> = {
  created: "Generated",
  existing: "Using the existing",
  external: "Using the existing, without its key (external CA mode):",
};

const CERT_FLAGS = [
  "cert-dir",
  "kubernetes-version",
  "apiserver-advertise-address",
  "apiserver-cert-extra-sans",
  "control-plane-endpoint",
  "service-cidr",
  "service-dns-domain",
];
const MANIFEST_FLAGS = [
  "cert-dir",
  "kubernetes-version",
  "image-repository",
  "patches",
  "apiserver-advertise-address",
  "apiserver-bind-port",
  "control-plane-endpoint",
  "pod-network-cidr",
  "service-cidr",
  "feature-gates",
];

const KUBECONFIG_FLAGS = [
  "cert-dir",
  "apiserver-advertise-address",
  "apiserver-bind-port",
  "control-plane-endpoint",
  "kubernetes-version",
  "node-name",
];

/** init's phase `certs`: ten certificates and the service account key. */
export const certsPhase: InitPhase = {
  name: "certs",
  short: "Certificate generation",
  flags: CERT_FLAGS,
  run: (ctx) =>
    prepareKeys(
      ctx,
      KUBECONFIGS.map((k) => k.name),
    ),
  children: [
    ...CERTIFICATES.map(
      (spec): InitPhase => ({
        name: spec.name,
        short: `Generate ${spec.short}`,
        flags: CERT_FLAGS,
        skipIf: (ctx) => (spec.localEtcdOnly && ctx.config.cluster.etcd.external ? "etcd is external" : undefined),
        run: async (ctx) => {
          ctx.ledger.claimMissing(pairOf(ctx, spec.base));
          const outcome = await ctx.pki.ensure(spec);
          const names = spec.altNames?.(ctx.config);
          ctx.ui.step("certs", `${SAID[outcome]} "${spec.base}" certificate and key`);
          if (spec.name === "ca" && outcome === "external") warnOfUnsigned(ctx);
          if (names && outcome === "created") {
            ctx.ui.step(
              "certs",
              `${spec.base} serves ${names.dnsNames.join(", ")} and ${names.ipAddresses.join(", ")}`,
            );
          }
        },
      }),
    ),
    {
      name: "sa",
      short: "Generate a private key for signing service account tokens along with its public key",
      flags: CERT_FLAGS,
      run: async (ctx) => {
        ctx.ledger.claimMissing(serviceAccountPair(ctx));
        ctx.ui.step("certs", `${SAID[await ctx.pki.ensureServiceAccountKey()]} "sa" key and public key`);
      },
    },
  ],
};

/** Said before a node waits for what never comes. */
function warnOfUnsigned({ config, pki, ui, options }: InitContext): void {
  const signer = config.cluster.controllerManager.extraArgs?.some(({ name }) => name === "cluster-signing-key-file");
  if (signer || options.joining) return;
  ui.warn(
    `the CA's key ${pki.path("ca.key")} is not on this host (external CA), so the cluster signs no kubelet's certificate: each join waits until whoever has the key signs its request (kubectl get csr)`,
  );
}

const pairOf = (ctx: InitContext, base: string) => [ctx.pki.path(`${base}.crt`), ctx.pki.path(`${base}.key`)];
const serviceAccountPair = (ctx: InitContext) => [ctx.pki.path("sa.key"), ctx.pki.path("sa.pub")];

/** Makes all keys that will be needed at once, in parallel: those of the certificates, and of these kubeconfigs. */
export function prepareKeys(ctx: InitContext, kubeconfigs: string[]): void {
  const certificates = CERTIFICATES.filter((c) => !(c.localEtcdOnly && ctx.config.cluster.etcd.external));
  // In one go, because each change of the ledger is synced to the card.
  ctx.ledger.claimMissing([...certificates.flatMap((spec) => pairOf(ctx, spec.base)), ...serviceAccountPair(ctx)]);
  const files = KUBECONFIGS.filter(
    (k) => kubeconfigs.includes(k.name) && !ctx.files.exists(`${KUBERNETES_DIR}/${k.file}`),
  );
  ctx.pki.prepareKeys([...certificates.map((c) => c.base), "sa", ...files.map((k) => k.file)]);
}

/** init's phase `kubeconfig`: a file for each identity. One that is there is checked and kept. */
export const kubeconfigPhase: InitPhase = {
  name: "kubeconfig",
  short: "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file",
  flags: KUBECONFIG_FLAGS,
  children: KUBECONFIGS.map((spec) => ({
    name: spec.name,
    short: spec.short,
    flags: KUBECONFIG_FLAGS,
    run: (ctx) => writeKubeconfig(ctx, spec),
  })),
};

async function writeKubeconfig(ctx: InitContext, spec: KubeconfigSpec): Promise<void> {
  const path = `${KUBERNETES_DIR}/${spec.file}`;
  const server = spec.local ? ctx.localServer : ctx.clusterServer;
  const ca = ctx.pki.certificate("ca");
  if (!ca)
    throw new KubestickError(`${ctx.pki.path("ca.crt")} is not there`, {
      hint: "run first: kubestick init phase certs ca",
    });
  const existing = ctx.files.readText(path);
  if (existing !== undefined) {
    checkKubeconfig(ctx, path, existing, server);
    ctx.ui.step("kubeconfig", `Using the existing "${spec.file}" kubeconfig file`);
    return;
  }
  const key = ctx.pki.path("ca.key");
  if (!ctx.files.exists(key)) {
    if (spec.name === "super-admin") {
      ctx.ui.step("kubeconfig", `No "${spec.file}": the CA's key is not on this host, and "admin.conf" is used`);
      return;
    }
    throw new KubestickError(`${path} is missing, and the CA's key ${key} is not on this host to make it`, {
      hint: `external CA mode: make ${path} elsewhere and copy it here, then run the same command again`,
    });
  }
  const identity = spec.identity(ctx);
  const credentials = await ctx.pki.clientCertificate(identity, spec.file);
  const content = kubeconfig(
    ctx.config.cluster.clusterName,
    identity.commonName,
    server,
    certificatePem(ca),
    credentials,
  );
  ctx.ledger.write(path, writeYaml(content), { mode: 0o600, secret: true });
  ctx.ui.step("kubeconfig", `Writing "${spec.file}" kubeconfig file`);
}

/** What kubeadm asks of a kubeconfig that is there (kubeadm phases/kubeconfig validateKubeConfig), and that its certificate has not expired. */
function checkKubeconfig(ctx: InitContext, path: string, text: string, server: string): void {
  // The kubelet's own file names a certificate that appears only once the kubelet has run.
  const found = readKubeconfig(text, path, (file) => ctx.files.readText(file) ?? "");
  const [first] = readCertificates(found.ca, `the certificate authority of ${path}`);
  if (!ctx.pki.certificates("ca").some(({ raw }) => raw.equals(first!.raw)))
    throw new KubestickError(`${path} belongs to another cluster: its CA is not ${ctx.pki.path("ca.crt")}`, {
      hint: moveAway(path),
    });
  // It may lead to a balancer, or by a name, and with an external CA it cannot be made anew.
  if (found.server !== server)
    ctx.ui.warn(`${path} points to ${found.server}, and this control plane is at ${server}; it is used as it is`);
  const [certificate] = found.clientCertificate
    ? readCertificates(found.clientCertificate, `the client certificate of ${path}`)
    : [];
  const { now } = ctx.facts;
  if (certificate && certificate.validToDate < now)
    throw new KubestickError(`the client certificate in ${path} expired on ${certificate.validToDate.toISOString()}`, {
      hint: moveAway(path, "to have it made anew"),
    });
}

/** init's phase `etcd`: the static pod of a local etcd. */
export const etcdPhase: InitPhase = {
  name: "etcd",
  short: "Generate static Pod manifest file for local etcd",
  flags: MANIFEST_FLAGS,
  children: [
    {
      name: "local",
      short: "Generate the static Pod manifest file for a local, single-node local etcd instance",
      flags: MANIFEST_FLAGS,
      skipIf: (ctx) => (ctx.config.cluster.etcd.external ? "etcd is external" : undefined),
      run: (ctx) => {
        const dataDir = ctx.config.cluster.etcd.local!.dataDir;
        ctx.ledger.claimDirectory(dataDir);
        ctx.files.mkdir(dataDir, 0o700);
        writeManifest(ctx, "etcd", "etcd");
      },
    },
  ],
};

/** init's phase `control-plane`: the static pods of the API server, controller manager and scheduler. */
export const controlPlanePhase: InitPhase = {
  name: "control-plane",
  short: "Generate all static Pod manifest files necessary to establish the control plane",
  flags: MANIFEST_FLAGS,
  children: CONTROL_PLANE_COMPONENTS.map((component) => ({
    name: component.replace(/^kube-/, ""),
    short: `Generates the ${component} static Pod manifest`,
    flags: MANIFEST_FLAGS,
    run: (ctx) => writeManifest(ctx, component, "control-plane"),
  })),
};

/**
 * A file with the CA's certificate alone, where ca.crt has more, such as the root of an intermediate: the controller
 * manager signs with no other (it ends with "expected 1 certificate, found 2").
 */
function signingCertificate(ctx: InitContext): { signingCertificate?: string } {
  const [ca, ...behind] = ctx.pki.certificates("ca");
  if (!ca || behind.length === 0 || !ctx.files.exists(ctx.pki.path("ca.key"))) return {};
  const path = ctx.pki.path("cluster-signing.crt");
  ctx.ledger.replace(path, certificatePem(ca), { mode: 0o644 });
  return { signingCertificate: path };
}

/** Writes a component's static pod; `initialCluster` names etcd's members when this one joins them. */
export function writeManifest(
  ctx: InitContext,
  component: ComponentName,
  phase: string,
  initialCluster?: string[],
): void {
  const pod = componentPod(component, ctx.config, {
    initialCluster,
    caDirs: CA_CERTIFICATE_DIRS.filter((dir) => ctx.files.exists(dir)),
    environment: process.env,
    externalCa: ctx.files.exists(ctx.pki.path("ca.crt")) && !ctx.files.exists(ctx.pki.path("ca.key")),
    ...(component === "kube-controller-manager" ? signingCertificate(ctx) : {}),
  });
  const path = `${MANIFESTS_DIR}/${component}.yaml`;
  const changed = ctx.ledger.write(path, sortedYaml(applyPatches(pod, component, ctx.patches)), { mode: 0o600 });
  ctx.ui.step(phase, `${changed ? "Creating" : "Using the existing"} static Pod manifest for "${component}"`);
}
