import * as fs from "node:fs";
import { CNI_CONF_DIR } from "../../constants/network.ts";
import {
  CONTAINERD_CONFIG_FILE,
  KUBELET_DIR,
  KUBERNETES_DIR,
  LOG_DIR,
  MODULES_FILE,
  POD_LOGS_DIR,
  RUN_DIR,
  STATE_DIR,
  SYSCTL_FILE,
  XTABLES_LOCK,
} from "../../constants/paths.ts";
import { KubestickError, reason } from "../../errors.ts";
import { refusePlantedLinks } from "../../host/directories.ts";
import { emptyDirectory, type Left, removeTree } from "../../host/remove.ts";

/** A directory of one component, which reset empties. */
export interface Place {
  path: string;
  /** What the component makes in it. Only that goes where the path is a link: what it leads to may hold other things too. */
  entries: RegExp;
  /** Whether only that goes in any case. */
  only?: boolean;
}

const KUBELET_ENTRIES =
  /^(checkpoints|config\.yaml|instance-config\.yaml|kubeadm-flags\.env|device-plugins|image_manager|pki|plugins|plugins_registry|pod-resources|pods|pods-api|.+_state)$/;

/** The kubelet's directories (pkg/kubelet/kubelet_getters.go, pkg/kubelet/kuberuntime). */
export const KUBELET_PLACES: Place[] = [
  { path: KUBELET_DIR, entries: KUBELET_ENTRIES },
  // NAMESPACE_NAME_UID, and POD_NAMESPACE_CONTAINER-ID.log.
  { path: POD_LOGS_DIR, entries: /^[^_]+_[^_]+_[^_]+$/ },
  { path: "/var/log/containers", entries: /^[^_]+_[^_]+_.+\.log$/ },
];

/** Where containerd keeps what it has; kubestick's to remove only when it brought containerd. */
export const CONTAINERD_PLACES: Place[] = [
  { path: "/var/lib/containerd", entries: /^(io\.containerd\..+|tmpmounts)$/ },
  { path: "/run/containerd", entries: /^(io\.containerd\..+|containerd\.sock.*|debug\.sock|fifo|runc|s)$/ },
  { path: "/run/nri", entries: /^nri\.sock$/ },
];

/** kubestick's own directories, beside STATE_DIR. */
export const OWN_PLACES: Place[] = [
  { path: RUN_DIR, entries: /\.(pid|restart|stop)$/ },
  { path: LOG_DIR, entries: /\.log(\.1)?$/ },
];

/** What kubestick records lies below these directories, or is one of these files; nothing else is removed because a ledger names it. */
export const LEDGER_ROOTS = [
  KUBERNETES_DIR,
  KUBELET_DIR,
  STATE_DIR,
  CNI_CONF_DIR,
  CONTAINERD_CONFIG_FILE.slice(0, CONTAINERD_CONFIG_FILE.lastIndexOf("/")),
  SYSCTL_FILE,
  MODULES_FILE,
  XTABLES_LOCK,
];

/** No component's directory is moved in here by somebody who means to keep what else is there. */
const NEVER_BELOW = ["/boot", "/dev", "/etc", "/home", "/proc", "/root", "/sys", "/usr"];
/** Nor to a directory that the system has for many things: one at the top, or one of these. */
const NEVER = ["/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"];

/** Where a directory really is, and whether it is itself a link; or why it is not to be touched; undefined where there is none. */
export type Resolved = { real: string; linked: boolean } | Left | undefined;

/**
 * Where a directory really is, its links resolved. It counts only when root made every link on its way, and when what
 * they lead to is root's own and no home or system directory: a planted link must not turn a reset on others' files.
 */
export function resolvePlace(path: string): Resolved {
  let real: string;
  try {
    if (!fs.existsSync(path)) return undefined;
    refusePlantedLinks(path);
    real = fs.realpathSync(path);
  } catch (error) {
    return { path, why: error instanceof KubestickError ? error.message : reason(error) };
  }
  const linked = fs.lstatSync(path).isSymbolicLink();
  if (real === path) return { real, linked };
  const top = `/${path.split("/")[1]}`;
  const never =
    real.split("/").length < 3 ||
    NEVER.includes(real) ||
    NEVER_BELOW.some((dir) => dir !== top && (real === dir || real.startsWith(`${dir}/`)));
  if (never) return { path, why: `it leads to ${real}, which others use` };
  const { uid } = fs.statSync(real);
  return uid === 0 ? { real, linked } : { path, why: `it leads to ${real}, which belongs to user ${uid}` };
}

/** Whether a resolved directory is one that must be left. */
export const isLeft = (resolved: Resolved): resolved is Left => resolved !== undefined && "why" in resolved;

/** Empties a place: all of it, or only what its component made. A link itself stays. Gives what was left. */
export function emptyPlace({ path, entries, only }: Place): Left[] {
  const resolved = resolvePlace(path);
  if (resolved === undefined) return [];
  if (isLeft(resolved)) return [resolved];
  if (!resolved.linked && !only) return emptyDirectory(resolved.real);
  const names = fs.readdirSync(resolved.real).filter((name) => entries.test(name));
  return names.flatMap((name) => removeTree(`${resolved.real}/${name}`));
}
