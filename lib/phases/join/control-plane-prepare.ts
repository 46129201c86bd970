import { readSharedCertificates, sharedCertificates } from "../../cluster/certificates.ts";
import { NAMESPACE_SYSTEM, SECRET_CERTS } from "../../constants/names.ts";
import { CERTIFICATES_DIR, KUBERNETES_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { CONTROL_PLANE_COMPONENTS } from "../../manifests/control-plane.ts";
import type { Say } from "../../ui/ui.ts";
import type { ControlPlane } from "../control-plane.ts";
import { certificatesOf, ensureCertificate, ensureServiceAccountKey, prepareKeys } from "../init/certs.ts";
import { writeManifest } from "../init/control-plane.ts";
import { KUBECONFIGS, writeKubeconfig } from "../init/kubeconfig.ts";
import type { Phase } from "../runner.ts";
import type { Join } from "./context.ts";

/** kubeconfigs of a joining control plane; the super administrator's stays on the first, the kubelet gets its own. */
const OWN_KUBECONFIGS = KUBECONFIGS.filter(({ name }) => ["admin", "controller-manager", "scheduler"].includes(name));

/** join's phase `control-plane-prepare`: certificates, kubeconfigs and manifests of a further control plane. */
export const controlPlanePreparePhase: Phase<Join> = {
  name: "control-plane-prepare",
  short: "Prepare the machine for serving a control plane",
  live: true,
  children: [
    {
      name: "download-certs",
      short: "Download certificates shared among control-plane nodes from the kubeadm-certs Secret",
      tag: "download-certs",
      live: true,
      inputs: [`Secret ${NAMESPACE_SYSTEM}/${SECRET_CERTS}`],
      outputs: [CERTIFICATES_DIR],
      run: downloadCerts,
    },
    {
      name: "certs",
      short: "Generate the certificates for the new control plane components",
      tag: "certs",
      live: true,
      inputs: [CERTIFICATES_DIR],
      outputs: [CERTIFICATES_DIR],
      run: async ({ controlPlane }, step) => {
        const { cp } = await controlPlane();
        requireShared(cp);
        prepareKeys(
          cp,
          OWN_KUBECONFIGS.map(({ name }) => name),
        );
        for (const spec of certificatesOf(cp)) await ensureCertificate(cp, spec, step);
        await ensureServiceAccountKey(cp, step);
      },
    },
    {
      name: "kubeconfig",
      short: "Generate the kubeconfig for the new control plane components",
      tag: "kubeconfig",
      live: true,
      inputs: [`${CERTIFICATES_DIR}/ca.crt`, `${CERTIFICATES_DIR}/ca.key`],
      outputs: OWN_KUBECONFIGS.map(({ file }) => `${KUBERNETES_DIR}/${file}`),
      run: async ({ controlPlane }, step) => {
        const { cp } = await controlPlane();
        for (const spec of OWN_KUBECONFIGS) await writeKubeconfig(cp, spec, step);
      },
    },
    {
      name: "control-plane",
      short: "Generate the manifests for the new control plane components",
      tag: "control-plane",
      live: true,
      inputs: [CERTIFICATES_DIR, ...OWN_KUBECONFIGS.map(({ file }) => `${KUBERNETES_DIR}/${file}`)],
      outputs: CONTROL_PLANE_COMPONENTS.map((component) => `${MANIFESTS_DIR}/${component}.yaml`),
      run: async ({ controlPlane }, step) => {
        const { cp } = await controlPlane();
        for (const component of CONTROL_PLANE_COMPONENTS) writeManifest(cp, component, step);
      },
    },
  ],
};

/** A control plane with a CA of its own would be another cluster. A CA's key may be elsewhere, where what it signs is here. */
function requireShared({ node, config }: ControlPlane): void {
  const needed = Object.values(sharedCertificates(config)).filter((path) => !path.endsWith("ca.key"));
  const missing = needed.filter((path) => !node.files.exists(path));
  if (missing.length === 0) return;
  throw new KubestickError(`these files of the first control plane are not here: ${missing.join(", ")}`, {
    hint: "give the key with --certificate-key (on the first: kubestick init phase upload-certs --upload-certs), or copy them by hand",
  });
}

/** Gets the shared certificates out of the cluster, decrypted with the key, or sees that they were copied by hand. */
async function downloadCerts({ node, config, access, controlPlane }: Join, step: Say): Promise<void> {
  const { cp } = await controlPlane();
  const key = config.controlPlane?.certificateKey;
  if (!key) {
    requireShared(cp);
    return;
  }
  step(`Downloading the certificates in Secret "${SECRET_CERTS}" in the "${NAMESPACE_SYSTEM}" Namespace`);
  for (const { path, data } of await readSharedCertificates(await access.client(), cp.config, key))
    node.ledger.write(path, data, { mode: /\.(crt|pub)$/.test(path) ? 0o644 : 0o600, secret: true });
}
