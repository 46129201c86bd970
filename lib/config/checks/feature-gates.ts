import { REMOVED_FEATURE_GATES } from "../../constants/removed-flags.ts";
import { isSince } from "../../util/version.ts";
import { own } from "../../yaml/plain.ts";
import type { Report } from "../kind.ts";

/** kubeadm's feature gates; value: why it cannot be set to the given value, or undefined when it can. */
const FEATURE_GATES: Record<string, (on: boolean | undefined) => string | undefined> = {
  ControlPlaneKubeletLocalMode: (on) => (on ? undefined : "is always on in kubestick; remove the line"),
  NodeLocalCRISocket: (on) => (on ? undefined : "is always on in kubestick; remove the line"),
  // encryptionAlgorithm decides.
  PublicKeysECDSA: () => undefined,
  RootlessControlPlane: (on) => (on ? "is not supported by kubestick; remove the line" : undefined),
};

/** Checks kubeadm's own feature gates for a cluster of a version. */
export function checkFeatureGates(
  gates: Record<string, boolean | undefined> | undefined,
  kubernetesVersion: string,
  report: Report,
): void {
  for (const [gate, on] of Object.entries(gates ?? {})) {
    const known = own(FEATURE_GATES, gate);
    const removed = known && REMOVED_FEATURE_GATES[gate];
    const wrong = !known
      ? `is not a feature gate of kubeadm; known: ${Object.keys(FEATURE_GATES).join(", ")}`
      : removed && isSince(kubernetesVersion, removed)
        ? `is gone since kubeadm ${removed}, which refuses a cluster's configuration with it; remove the line`
        : known(on);
    if (wrong) report(`featureGates.${gate}`, wrong);
  }
}
