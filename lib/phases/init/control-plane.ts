import { CERTIFICATES_DIR, KUBERNETES_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import {
  CA_CERTIFICATE_DIRS,
  CONTROL_PLANE_COMPONENTS,
  type ComponentName,
  componentPod,
} from "../../manifests/control-plane.ts";
import { applyPatches } from "../../manifests/patches.ts";
import { certificatePem } from "../../pki/certificate.ts";
import type { Say } from "../../ui/ui.ts";
import { sortedYaml } from "../../yaml/write.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Phase } from "../runner.ts";

/** The flags of the phases that write static pods. */
export const MANIFEST_FLAGS = [
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

/** The kubeconfigs that the components besides the API server use. */
const KUBECONFIG_OF: Partial<Record<ComponentName, string>> = {
  "kube-controller-manager": `${KUBERNETES_DIR}/controller-manager.conf`,
  "kube-scheduler": `${KUBERNETES_DIR}/scheduler.conf`,
};

/** init's phase `control-plane`: the static pods of the API server, controller manager and scheduler. */
export const controlPlanePhase: Phase<{ cp: ControlPlane }> = {
  name: "control-plane",
  short: "Generate all static Pod manifest files necessary to establish the control plane",
  flags: MANIFEST_FLAGS,
  children: CONTROL_PLANE_COMPONENTS.map((component) => ({
    name: component.replace(/^kube-/, ""),
    short: `Generates the ${component} static Pod manifest`,
    flags: MANIFEST_FLAGS,
    inputs: [CERTIFICATES_DIR, ...(KUBECONFIG_OF[component] ? [KUBECONFIG_OF[component]] : [])],
    outputs: [
      `${MANIFESTS_DIR}/${component}.yaml`,
      ...(component === "kube-controller-manager" ? [`${CERTIFICATES_DIR}/cluster-signing.crt`] : []),
    ],
    run: ({ cp }, step) => writeManifest(cp, component, step),
  })),
};

/**
 * A file with the CA's certificate alone, where ca.crt has more, such as the root of an intermediate: the controller
 * manager signs with no other (it ends with "expected 1 certificate, found 2").
 */
function signingCertificate({ pki, node }: ControlPlane): { signingCertificate?: string } {
  const [ca, ...behind] = pki.certificates("ca");
  if (!ca || behind.length === 0 || !node.files.exists(pki.path("ca.key"))) return {};
  const path = pki.path("cluster-signing.crt");
  node.ledger.replace(path, certificatePem(ca), { mode: 0o644 });
  return { signingCertificate: path };
}

/** Writes a component's static pod; `initialCluster` names etcd's members when this one joins them. */
export function writeManifest(cp: ControlPlane, component: ComponentName, step: Say, initialCluster?: string[]): void {
  const { files, ledger, patches, environment } = cp.node;
  const pod = componentPod(component, cp.config, {
    initialCluster,
    caDirs: CA_CERTIFICATE_DIRS.filter((dir) => files.exists(dir)),
    environment,
    externalCa: files.exists(cp.pki.path("ca.crt")) && !files.exists(cp.pki.path("ca.key")),
    ...(component === "kube-controller-manager" ? signingCertificate(cp) : {}),
  });
  const path = `${MANIFESTS_DIR}/${component}.yaml`;
  const changed = ledger.write(path, sortedYaml(applyPatches(pod, component, patches())), { mode: 0o600 });
  step(`${changed ? "Creating" : "Using the existing"} static Pod manifest for "${component}"`);
}
