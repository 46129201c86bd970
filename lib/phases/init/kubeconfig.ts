import { GROUP_MASTERS, GROUP_NODES, USER_NODE_PREFIX } from "../../constants/names.ts";
import { CERTIFICATES_DIR, KUBERNETES_DIR } from "../../constants/paths.ts";
import { KubestickError, moveAway } from "../../errors.ts";
import { kubeconfig, readKubeconfig } from "../../kubeconfig/kubeconfig.ts";
import { certificatePem } from "../../pki/certificate.ts";
import { ADMIN_IDENTITY, type ClientIdentity } from "../../pki/kubeadm-certs.ts";
import { readCertificates } from "../../pki/pem.ts";
import type { Say } from "../../ui/ui.ts";
import { writeYaml } from "../../yaml/write.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Phase } from "../runner.ts";

/** A kubeconfig of a control plane: file name, whose identity, and which address it uses. */
export interface KubeconfigSpec {
  name: string;
  file: string;
  short: string;
  identity: (cp: ControlPlane) => ClientIdentity;
  /** Names this node's own API server, not the cluster's. */
  local?: boolean;
}

/** The kubeconfigs of a first control plane, in kubeadm's order (kubeadm phases/kubeconfig). */
export const KUBECONFIGS: KubeconfigSpec[] = [
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
    identity: ({ node }) => ({ commonName: `${USER_NODE_PREFIX}${node.name}`, organizations: [GROUP_NODES] }),
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

const FLAGS = [
  "cert-dir",
  "apiserver-advertise-address",
  "apiserver-bind-port",
  "control-plane-endpoint",
  "kubernetes-version",
  "node-name",
];

/** init's phase `kubeconfig`: a file for each identity. One that is there is checked and kept. */
export const kubeconfigPhase: Phase<{ cp: ControlPlane }> = {
  name: "kubeconfig",
  short: "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file",
  flags: FLAGS,
  children: KUBECONFIGS.map((spec) => ({
    name: spec.name,
    short: spec.short,
    flags: FLAGS,
    inputs: [`${CERTIFICATES_DIR}/ca.crt`, `${CERTIFICATES_DIR}/ca.key`],
    outputs: [`${KUBERNETES_DIR}/${spec.file}`],
    run: ({ cp }, step) => writeKubeconfig(cp, spec, step),
  })),
};

/** Writes a kubeconfig, or checks the one that is there. Throws KubestickError for one that will not do. */
export async function writeKubeconfig(cp: ControlPlane, spec: KubeconfigSpec, step: Say): Promise<void> {
  const { files, ledger } = cp.node;
  const path = `${KUBERNETES_DIR}/${spec.file}`;
  const server = spec.local ? cp.servers.local : cp.servers.cluster;
  const ca = cp.pki.certificate("ca");
  if (!ca)
    throw new KubestickError(`${cp.pki.path("ca.crt")} is not there`, {
      hint: "run first: kubestick init phase certs ca",
    });
  const existing = files.readText(path);
  if (existing !== undefined) {
    checkKubeconfig(cp, path, existing, server);
    step(`Using the existing "${spec.file}" kubeconfig file`);
    return;
  }
  const key = cp.pki.path("ca.key");
  if (!files.exists(key)) {
    if (spec.name === "super-admin") {
      step(`No "${spec.file}": the CA's key is not on this host, and "admin.conf" is used`);
      return;
    }
    throw new KubestickError(`${path} is missing, and the CA's key ${key} is not on this host to make it`, {
      hint: `external CA mode: make ${path} elsewhere and copy it here, then run the same command again`,
    });
  }
  const identity = spec.identity(cp);
  const credentials = await cp.pki.clientCertificate(identity, spec.file);
  const { clusterName } = cp.config.cluster;
  const content = kubeconfig(clusterName, identity.commonName, server, certificatePem(ca), credentials);
  ledger.write(path, writeYaml(content), { mode: 0o600, secret: true });
  step(`Writing "${spec.file}" kubeconfig file`);
}

/** What kubeadm asks of a kubeconfig that is there (kubeadm phases/kubeconfig validateKubeConfig), and that its certificate has not expired. */
function checkKubeconfig({ node, pki }: ControlPlane, path: string, text: string, server: string): void {
  // The kubelet's own file names a certificate that appears only once the kubelet has run.
  const found = readKubeconfig(text, path, (file) => node.files.readText(file) ?? "");
  const [first] = readCertificates(found.ca, `the certificate authority of ${path}`);
  if (!pki.certificates("ca").some(({ raw }) => raw.equals(first!.raw)))
    throw new KubestickError(`${path} belongs to another cluster: its CA is not ${pki.path("ca.crt")}`, {
      hint: moveAway(path),
    });
  // It may lead to a balancer, or by a name, and with an external CA it cannot be made anew.
  if (found.server !== server)
    node.ui.warn(`${path} points to ${found.server}, and this control plane is at ${server}; it is used as it is`);
  const [certificate] = found.clientCertificate
    ? readCertificates(found.clientCertificate, `the client certificate of ${path}`)
    : [];
  if (certificate && certificate.validToDate < node.facts.now)
    throw new KubestickError(`the client certificate in ${path} expired on ${certificate.validToDate.toISOString()}`, {
      hint: moveAway(path, "to have it made anew"),
    });
}
