import { CERTIFICATES_DIR, KUBERNETES_DIR } from "../../constants/paths.ts";
import { CERTIFICATES, type CertSpec } from "../../pki/kubeadm-certs.ts";
import type { Outcome } from "../../pki/store.ts";
import type { Say } from "../../ui/ui.ts";
import { LOCAL_ETCD } from "../conditions.ts";
import type { ControlPlane } from "../control-plane.ts";
import { type Phase, when } from "../runner.ts";
import { KUBECONFIGS } from "./kubeconfig.ts";

type CertsPhase = Phase<{ cp: ControlPlane }>;

const SAID: Record<Outcome, string> = {
  created: "Generated",
  existing: "Using the existing",
  external: "Using the existing, without its key (external CA mode):",
};

const FLAGS = [
  "cert-dir",
  "kubernetes-version",
  "apiserver-advertise-address",
  "apiserver-cert-extra-sans",
  "control-plane-endpoint",
  "service-cidr",
  "service-dns-domain",
];

/** Where the two files of a certificate usually are. */
const usualPair = (base: string) => [`${CERTIFICATES_DIR}/${base}.crt`, `${CERTIFICATES_DIR}/${base}.key`];

const pairOf = (cp: ControlPlane, base: string) => [cp.pki.path(`${base}.crt`), cp.pki.path(`${base}.key`)];
const serviceAccountPair = (cp: ControlPlane) => [cp.pki.path("sa.key"), cp.pki.path("sa.pub")];

/** The certificates that a control plane has: those of a local etcd where it runs one. */
export const certificatesOf = (cp: ControlPlane): CertSpec[] =>
  CERTIFICATES.filter(({ localEtcdOnly }) => !localEtcdOnly || LOCAL_ETCD.holds({ cp }));

/** Makes all keys that will be needed at once, in parallel: those of the certificates, and of these kubeconfigs. */
export function prepareKeys(cp: ControlPlane, kubeconfigs: string[]): void {
  const { ledger, files } = cp.node;
  const bases = certificatesOf(cp).map(({ base }) => base);
  // In one go, because each change of the ledger is synced to the card.
  ledger.claimMissing([...bases.flatMap((base) => pairOf(cp, base)), ...serviceAccountPair(cp)]);
  const wanted = KUBECONFIGS.filter(
    ({ name, file }) => kubeconfigs.includes(name) && !files.exists(`${KUBERNETES_DIR}/${file}`),
  );
  cp.pki.prepareKeys([...bases, "sa", ...wanted.map(({ file }) => file)]);
}

/** Makes a certificate and its key, or checks those that are there. Throws KubestickError for one that will not do. */
export async function ensureCertificate(cp: ControlPlane, spec: CertSpec, step: Say): Promise<Outcome> {
  cp.node.ledger.claimMissing(pairOf(cp, spec.base));
  const outcome = await cp.pki.ensure(spec);
  const names = spec.altNames?.(cp.config);
  step(`${SAID[outcome]} "${spec.base}" certificate and key`);
  if (names && outcome === "created")
    step(`${spec.base} serves ${names.dnsNames.join(", ")} and ${names.ipAddresses.join(", ")}`);
  return outcome;
}

/** As ensureCertificate, for the key pair that signs the tokens of service accounts. */
export async function ensureServiceAccountKey(cp: ControlPlane, step: Say): Promise<void> {
  cp.node.ledger.claimMissing(serviceAccountPair(cp));
  step(`${SAID[await cp.pki.ensureServiceAccountKey()]} "sa" key and public key`);
}

/** Said before a node waits for what never comes. */
function warnOfUnsigned({ config, pki, node }: ControlPlane): void {
  if (config.cluster.controllerManager.extraArgs?.some(({ name }) => name === "cluster-signing-key-file")) return;
  node.ui.warn(
    `the CA's key ${pki.path("ca.key")} is not on this host (external CA), so the cluster signs no kubelet's certificate: each join waits until whoever has the key signs its request (kubectl get csr)`,
  );
}

function certificatePhase(spec: CertSpec): CertsPhase {
  const ca = CERTIFICATES.find(({ name }) => name === spec.ca);
  const phase: CertsPhase = {
    name: spec.name,
    short: `Generate ${spec.short}`,
    flags: FLAGS,
    inputs: ca ? usualPair(ca.base) : [],
    outputs: usualPair(spec.base),
    run: async ({ cp }, step) => {
      const outcome = await ensureCertificate(cp, spec, step);
      if (spec.name === "ca" && outcome === "external") warnOfUnsigned(cp);
    },
  };
  return spec.localEtcdOnly ? when(LOCAL_ETCD, phase) : phase;
}

/** init's phase `certs`: ten certificates and the service account key (kubeadm phases/init/certs.go). */
export const certsPhase: CertsPhase = {
  name: "certs",
  short: "Certificate generation",
  flags: FLAGS,
  run: ({ cp }) =>
    prepareKeys(
      cp,
      KUBECONFIGS.map(({ name }) => name),
    ),
  children: [
    ...CERTIFICATES.map(certificatePhase),
    {
      name: "sa",
      short: "Generate a private key for signing service account tokens along with its public key",
      flags: FLAGS,
      outputs: [`${CERTIFICATES_DIR}/sa.key`, `${CERTIFICATES_DIR}/sa.pub`],
      run: ({ cp }, step) => ensureServiceAccountKey(cp, step),
    },
  ],
};
