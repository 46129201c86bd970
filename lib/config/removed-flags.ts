import {
  ETCD_FLAGS_NOW_GATES,
  ETCD_FLAGS_REMOVED_VERSION,
  ETCD_REMOVED_FLAGS,
  ETCD_REMOVED_PREFIX,
  KUBELET_FLAGS_REMOVED_VERSION,
  KUBELET_REMOVED_FLAGS,
} from "../constants/removed-flags.ts";
import { isSince } from "../util/version.ts";

/** Why etcd of an image's tag would not start with a flag, and what to write; undefined where it takes it. */
export function removedEtcdFlag(imageTag: string, flag: string): string | undefined {
  const gone = flag.startsWith(ETCD_REMOVED_PREFIX) || ETCD_REMOVED_FLAGS.includes(flag);
  if (!gone || !isSince(imageTag, ETCD_FLAGS_REMOVED_VERSION)) return undefined;
  const gate = Object.hasOwn(ETCD_FLAGS_NOW_GATES, flag) ? ETCD_FLAGS_NOW_GATES[flag] : undefined;
  const now = gate
    ? `write feature-gates with ${gate}=true or false`
    : flag.startsWith(ETCD_REMOVED_PREFIX)
      ? `write ${flag.slice(ETCD_REMOVED_PREFIX.length)}`
      : "remove it";
  return `"${flag}" is gone since etcd ${ETCD_FLAGS_REMOVED_VERSION}, which does not start with it; ${now}`;
}

/** Whether a kubelet of a version would not start with a flag, because cAdvisor's flags are gone. */
export function isRemovedKubeletFlag(kubeletVersion: string, flag: string): boolean {
  return (
    isSince(kubeletVersion, KUBELET_FLAGS_REMOVED_VERSION) && KUBELET_REMOVED_FLAGS.includes(flag.replaceAll("_", "-"))
  );
}
