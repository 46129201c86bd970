import { existsSync } from "node:fs";
import { CNI_CONF_DIR } from "../constants/network.ts";
import {
  CNI_BIN_DIR,
  CONTAINERD_CERTS_DIR,
  CONTAINERD_CONFIG_FILE,
  CONTAINERD_ROOT_DIR,
  DEFAULT_CRI_SOCKET,
} from "../constants/paths.ts";
import type { Node } from "../edge/node.ts";
import { findProgram } from "../host/facts.ts";
import { fileSystemOf, placeOf } from "../host/file-system.ts";
import { tryRun } from "../host/process.ts";
import { readSystemFile } from "../host/system-files.ts";
import { type ExistingContainerd, readExistingContainerd } from "../runtime/containerd-existing.ts";
import type { BundleCheckContext } from "./bundle.ts";
import { type Check, error, type Finding, warning } from "./check.ts";
import { verifyApparmor } from "./security.ts";
import { verifyStorage } from "./storage.ts";

/** What the checks of a host's containerd look at. */
export type ContainerdCheckContext = BundleCheckContext & Pick<Node, "files" | "ledger" | "criSocket" | "options">;

/** Checks of containerd on this host, as somebody else has set it up, and of where it works. */
export const CONTAINERD_CHECKS: Check<ContainerdCheckContext>[] = [
  {
    name: "ContainerdConfig",
    why: "what another program's package wrote for containerd can leave Kubernetes out",
    run: (ctx) => {
      const existing = foreignConfig(ctx);
      return [
        ...(ctx.bundle === undefined && ctx.options.registryMirrors.size > 0 ? mirrorsWithoutBundle() : []),
        ...(existing ? verifyContainerdConfig(existing, wantsOf(ctx)) : []),
      ];
    },
  },
  {
    name: "ContainerdStorage",
    why: "containers are made of layers, which not every file system can hold",
    run: (ctx) => {
      const existing = foreignConfig(ctx);
      if (!usesContainerd(ctx.criSocket) || (existing?.snapshotter ?? "overlayfs") !== "overlayfs") return [];
      const path = existing?.root ?? CONTAINERD_ROOT_DIR;
      const fileSystem = fileSystemOf(ctx.facts.mountinfo, placeOf(path));
      if (!fileSystem) return [];
      const xfs = fileSystem.type === "xfs" ? findProgram("xfs_info") : undefined;
      return verifyStorage({
        path,
        fileSystem,
        kernel: ctx.facts.kernel,
        ...(xfs ? { xfsInfo: tryRun(xfs, [fileSystem.mountPoint]).stdout } : {}),
        ...(fileSystem.type === "zfs" ? { zfsVersion: readSystemFile("/sys/module/zfs/version").trim() } : {}),
      });
    },
  },
  {
    name: "AppArmor",
    why: "containerd loads a profile for each container",
    run: (ctx) => {
      const { security } = ctx.facts;
      const asks = usesContainerd(ctx.criSocket) && security.apparmor.enabled && !security.apparmor.parser;
      return asks && !foreignConfig(ctx)?.disableApparmor ? verifyApparmor(security, containerdVersion(ctx)) : [];
    },
  },
];

/** Mirrors are written together with what a bundle brings. */
const mirrorsWithoutBundle = (): Finding[] =>
  warning(
    "--registry-mirror changes nothing here: it is written for the containerd that a bundle sets up, and there is no bundle",
    `write ${CONTAINERD_CERTS_DIR}/_default/hosts.toml yourself (containerd docs/hosts.md), or give a bundle`,
  );

const usesContainerd = (criSocket: string) => criSocket.includes("containerd");

/** The containerd configuration that stays, because kubestick did not write it. */
function foreignConfig({ files, ledger, bundle, options }: ContainerdCheckContext): ExistingContainerd | undefined {
  const replaced = bundle !== undefined && options.force;
  if (replaced || ledger.owns(CONTAINERD_CONFIG_FILE)) return undefined;
  return readExistingContainerd(files, CONTAINERD_CONFIG_FILE);
}

function containerdVersion({ bundle, facts }: ContainerdCheckContext): string | undefined {
  const program = findProgram("containerd");
  const told = program
    ? tryRun(program, ["--version"]).stdout
    : bundle?.binaries.find(({ name, arch }) => name === "containerd" && arch === facts.arch)?.version;
  return /\d+\.\d+\.\d+/.exec(told ?? "")?.[0];
}

/** What kubestick wants of a containerd configuration. */
export interface ContainerdWants {
  criSocket: string;
  /** Whether hosts.toml files are to be written for it. */
  mirrors: boolean;
}

const wantsOf = ({ criSocket, options, bundle }: ContainerdCheckContext): ContainerdWants => ({
  criSocket,
  mirrors: options.registryMirrors.size > 0 && bundle !== undefined,
});

/** What in somebody else's containerd configuration stands in the way, with its file and line. */
export function verifyContainerdConfig(existing: ExistingContainerd, wants: ContainerdWants): Finding[] {
  const socket = wants.criSocket.replace(/^unix:\/\//, "");
  const listens = existing.address ?? DEFAULT_CRI_SOCKET.replace(/^unix:\/\//, "");
  // Another containerd, with a configuration elsewhere, was named.
  if (listens !== socket && wants.criSocket !== DEFAULT_CRI_SOCKET) return [];
  const restart = "and restart containerd (systemctl restart containerd), which leaves containers running";
  return [
    ...existing.broken.flatMap(({ file, why }) =>
      error(
        `containerd cannot read its configuration ${file}: ${why}`,
        "correct it; containerd config dump shows more",
      ),
    ),
    ...existing.disabled.flatMap(({ file, line, plugin }) =>
      error(
        `${file}:${line} switches containerd's CRI plugin off (disabled_plugins names "${plugin}", as Docker's packages write it)`,
        `take "${plugin}" out of that line ${restart}`,
      ),
    ),
    ...(listens === socket
      ? []
      : error(
          `containerd listens on ${listens}, as ${CONTAINERD_CONFIG_FILE} says (grpc.address), not on ${socket}`,
          `give --cri-socket unix://${listens}`,
        )),
    ...(wants.mirrors ? verifyRegistryPath(existing, restart) : []),
    ...verifyCni(existing, restart),
  ];
}

function verifyRegistryPath({ registryPath }: ExistingContainerd, restart: string): Finding[] {
  const dirs = registryPath?.value.split(":").map((dir) => dir.replace(/\/+$/, "")) ?? [];
  if (dirs.includes(CONTAINERD_CERTS_DIR)) return [];
  const { file, line, value } = registryPath ?? {};
  return warning(
    `--registry-mirror writes below ${CONTAINERD_CERTS_DIR}, which this containerd does not read: ${value === undefined ? `${CONTAINERD_CONFIG_FILE} has no registry config_path` : `${file}:${line} has config_path = "${value}"`}`,
    `set it to "${CONTAINERD_CERTS_DIR}" ${restart}`,
  );
}

/** A pod has no network before containerd finds its configuration, and the plugins that this names. */
function verifyCni({ cniBinDirs, cniConfDir }: ExistingContainerd, restart: string): Finding[] {
  const found: Finding[] = [];
  if (cniConfDir !== undefined && cniConfDir.replace(/\/+$/, "") !== CNI_CONF_DIR)
    found.push(
      ...warning(
        `this containerd looks for networks in ${cniConfDir} (conf_dir), and network providers write to ${CNI_CONF_DIR}`,
        `set conf_dir to "${CNI_CONF_DIR}" ${restart}`,
      ),
    );
  // Bundles and network providers put theirs in /opt/cni/bin.
  const has = (dir: string) => dir.replace(/\/+$/, "") === CNI_BIN_DIR || existsSync(`${dir}/bridge`);
  if (cniBinDirs !== undefined && !cniBinDirs.some(has))
    found.push(
      ...warning(
        `this containerd looks for CNI plugins in ${cniBinDirs.join(", ")} (bin_dir), and there are none`,
        `set bin_dir to "${CNI_BIN_DIR}" ${restart}`,
      ),
    );
  return found;
}
