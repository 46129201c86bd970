import type { FileSystem } from "../host/file-system.ts";
import { hasPart, type KernelFacts } from "../host/kernel-facts.ts";
import { error, type Finding, warning } from "./check.ts";

/** File systems that overlayfs refuses for what it writes, or that containerd does (containerd docs/snapshotters, kernel overlayfs.rst). */
const REFUSED: Record<string, string> = {
  overlay: "an overlay cannot hold another's changes",
  nfs: "a network file system has no place for overlayfs' marks",
  nfs4: "a network file system has no place for overlayfs' marks",
  cifs: "a network file system has no place for overlayfs' marks",
  smb3: "a network file system has no place for overlayfs' marks",
  "9p": "a shared directory has no place for overlayfs' marks",
  vfat: "it knows neither owners nor links",
  exfat: "it knows neither owners nor links",
  msdos: "it knows neither owners nor links",
  ntfs3: "overlayfs does not take it",
  fuseblk: "overlayfs does not take it",
  ecryptfs: "overlayfs does not take it",
  squashfs: "it is read-only",
  erofs: "it is read-only",
  iso9660: "it is read-only",
  ramfs: "it has no place for overlayfs' marks",
};

/** File systems that lose their extended attributes with an option of the kernel, and overlayfs its marks. */
const XATTR_OPTIONS: Record<string, string> = {
  tmpfs: "TMPFS_XATTR",
  f2fs: "F2FS_FS_XATTR",
  ubifs: "UBIFS_FS_XATTR",
  jffs2: "JFFS2_FS_XATTR",
};

/** The first OpenZFS that overlayfs can write to. */
const ZFS_WITH_OVERLAY = [2, 2];

/** What must be known of a directory to say whether overlayfs can keep containers' changes in it. */
export interface Storage {
  path: string;
  fileSystem: FileSystem;
  kernel: KernelFacts;
  /** What xfs_info says of it, where it is XFS. */
  xfsInfo?: string;
  /** OpenZFS' version, where it is loaded. */
  zfsVersion?: string;
}

/** Why containerd's snapshotter overlayfs cannot keep images and containers in a directory; undefined where nothing speaks against it. */
export function overlayRefusal({
  fileSystem: { type, mountPoint },
  kernel,
  xfsInfo = "",
  zfsVersion,
}: Storage): string | undefined {
  const refused = Object.hasOwn(REFUSED, type) ? REFUSED[type] : undefined;
  if (refused !== undefined) return `${mountPoint} is ${type}: ${refused}`;
  const option = Object.hasOwn(XATTR_OPTIONS, type) ? XATTR_OPTIONS[type]! : undefined;
  if (option !== undefined && hasPart(kernel, { option }) === false)
    return `${mountPoint} is ${type}, and this kernel is built without CONFIG_${option}`;
  if (type === "xfs" && /\bftype=0\b/.test(xfsInfo)) return `${mountPoint} is xfs that was made with ftype=0`;
  if (type === "zfs") {
    const [major = 0, minor = 0] = (zfsVersion ?? "0.0").split(".").map((number) => Number.parseInt(number, 10) || 0);
    if (major < ZFS_WITH_OVERLAY[0]! || (major === ZFS_WITH_OVERLAY[0] && minor < ZFS_WITH_OVERLAY[1]!))
      return `${mountPoint} is zfs ${zfsVersion ?? "(of an unknown version)"}, and overlayfs needs OpenZFS ${ZFS_WITH_OVERLAY.join(".")}`;
  }
  return undefined;
}

/** What is wrong with where containerd keeps images and containers. */
export function verifyStorage(storage: Storage): Finding[] {
  const { path, fileSystem } = storage;
  const refusal = overlayRefusal(storage);
  if (refusal !== undefined)
    return error(
      `containerd cannot use overlayfs in ${path}: ${refusal}`,
      `mount an ext4 file system, or xfs with ftype=1, there (or a directory of one: mount --bind DIRECTORY ${path})`,
    );
  return fileSystem.type === "tmpfs"
    ? warning(
        `${path} lies in memory (${fileSystem.mountPoint} is tmpfs): images take it away from pods, and are gone after a reboot`,
        "mount a disk there",
      )
    : [];
}
