import * as fs from "node:fs";
import { join } from "node:path";
import { HOST_BINARY_KINDS } from "../../constants/host-binaries.ts";
import { CNI_CONFIG_FILE, CNI_NETWORK } from "../../constants/network.ts";
import {
  ADMIN_KUBECONFIG,
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  CONTAINERD_CONFIG_FILE,
  FALLBACK_BIN_DIR,
  KUBELET_BOOTSTRAP_KUBECONFIG,
  KUBELET_KUBECONFIG,
  KUBERNETES_DIR,
  LOCAL_BIN_DIR,
  MANIFESTS_DIR,
  MODULES_FILE,
  OWN_RESOLV_CONF,
  SYSCTL_FILE,
} from "../../constants/paths.ts";
import type { Removal } from "../../edge/removal.ts";
import type { Files } from "../../host/files.ts";
import { WRITTEN_HERE } from "../../services/service.ts";
import type { Reset } from "./context.ts";
import { emptyPlace, type Place } from "./places.ts";
import { fileBelow, textOf } from "./removals.ts";

/** kubeconfigs below /etc/kubernetes (kubeadm phases/reset/cleanupnode.go, resetConfigDir). */
const KUBECONFIGS = [
  ADMIN_KUBECONFIG,
  `${KUBERNETES_DIR}/super-admin.conf`,
  KUBELET_KUBECONFIG,
  KUBELET_BOOTSTRAP_KUBECONFIG,
  `${KUBERNETES_DIR}/controller-manager.conf`,
  `${KUBERNETES_DIR}/scheduler.conf`,
];
const CONTROL_PLANE_MANIFESTS = /^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)\.yaml$/;
/** What goes without a ledger: what kubeadm's reset removes, whoever wrote it, as far as kubeadm and kubestick make it; and what kubestick's mark is in. */
export function lostRemovals(ctx: Reset): Removal[] {
  const { files, asked } = ctx;
  const pki = { entries: /\.(crt|key|pub)$/, only: true };
  const places: Place[] = [
    { path: `${asked.certificatesDir}/etcd`, ...pki },
    { path: asked.certificatesDir, ...pki },
    { path: MANIFESTS_DIR, entries: CONTROL_PLANE_MANIFESTS, only: true },
  ];
  const marked = [
    SYSCTL_FILE,
    MODULES_FILE,
    CONTAINERD_CONFIG_FILE,
    ...files.list(CONTAINERD_CERTS_DIR).map((host) => `${CONTAINERD_CERTS_DIR}/${host}/hosts.toml`),
  ].filter((path) => files.exists(path) && textOf(files, path).startsWith(WRITTEN_HERE));
  const own = [...marked, OWN_RESOLV_CONF, ...(hasFlatNetwork(files) ? [CNI_CONFIG_FILE] : [])];
  return [
    ...[...KUBECONFIGS, ...own].filter((path) => files.exists(path)).map((path) => fileBelow(path, path)),
    ...places
      .filter(({ path }) => files.list(path).length > 0)
      .map((p) => ({ path: p.path, remove: () => emptyPlace(p) })),
  ];
}

/** Whether the network's configuration is the one that kubestick writes. */
function hasFlatNetwork(files: Files): boolean {
  try {
    return (JSON.parse(textOf(files, CNI_CONFIG_FILE)) as { name?: unknown } | null)?.name === CNI_NETWORK;
  } catch {
    return false;
  }
}

/** Tells which programs stay because the record of them is damaged: whoever installed them is not known any more. */
export function warnOfBinaries({ ledger, ui }: Reset): void {
  const damaged = ledger.damagedBinaries;
  if (damaged === undefined) return;
  const names = HOST_BINARY_KINDS.flatMap(({ name, members }) => (Array.isArray(members) ? members : [name])).map(
    (member) => member.slice(member.lastIndexOf("/") + 1),
  );
  const there = [LOCAL_BIN_DIR, FALLBACK_BIN_DIR].flatMap((dir) => names.map((name) => join(dir, name)));
  const found = [...there, CNI_BIN_DIR].filter((path) => fs.existsSync(path));
  if (found.length > 0)
    ui.warn(`${damaged} is damaged; programs that kubestick perhaps installed stay: ${found.join(", ")}`);
}
