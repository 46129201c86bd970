import { COMPANIONS, type Companions } from "../constants/upstream.ts";
import { parseVersion } from "../util/version.ts";

/**
 * What goes with a Kubernetes version; for one older or newer than all that are known, what goes with the nearest
 * (kubeadm constants.go EtcdSupportedVersion).
 */
export function companionsOf(kubernetesVersion: string): Companions {
  const known = Object.keys(COMPANIONS);
  const wanted = parseVersion(kubernetesVersion);
  const minors = known.map((minor) => parseVersion(`${minor}.0`)!);
  const nearest = wanted ? minors.findIndex((m) => m.major < wanted.major || m.minor <= wanted.minor) : 0;
  return COMPANIONS[known.at(nearest)!]!;
}
