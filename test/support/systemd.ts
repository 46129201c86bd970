import { findProgram } from "../../lib/host/facts.ts";

/** Whether this machine has systemd's programs, whether or not they run. */
export const hasSystemd = () => findProgram("systemctl") !== undefined && findProgram("systemd") !== undefined;

/** The only services that a node with systemd has at first; all others that are installed on this machine are masked. */
const KEPT = "^(dbus|systemd-journald)";
const UNIT_DIRS = "/lib/systemd/system /etc/systemd/system";

/**
 * What makes systemd the first process of a node: it lives in a cgroup of its own, and below a directory of cgroups of
 * its own, which it makes read-only.
 */
export const systemdBoot = (cgroup: string): string[] => [
  `for hierarchy in /sys/fs/cgroup/*/; do echo 0 >"$hierarchy"${cgroup}/cgroup.procs; done`,
  // It would give the node this machine's name again, and clear its directory of temporary files.
  "hostname >/etc/hostname && mount -t tmpfs tmpfs /tmp",
  "mkdir /run/cgroups && mount -t tmpfs -o mode=755 tmpfs /run/cgroups",
  "cd /sys/fs/cgroup && for name in *; do",
  "  if [ -L $name ]; then cp -P $name /run/cgroups/; else mkdir /run/cgroups/$name; mount --bind $name /run/cgroups/$name; fi",
  "done",
  "mount --make-private /sys/fs/cgroup && mount --make-private /run && mount --move /run/cgroups /sys/fs/cgroup",
  // A bare board has no package's units of what kubestick brings.
  `for dir in ${UNIT_DIRS}; do rm -f $dir/containerd.service $dir/kubelet.service $dir/*.wants/containerd.service; done`,
  `for dir in ${UNIT_DIRS}; do ls $dir/*.wants; done | grep -E '\\.(service|timer|socket|mount|automount|path)$' |`,
  `  sort -u | grep -vE '${KEPT}' | while read unit; do ln -sf /dev/null /etc/systemd/system/$unit; done`,
  "ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target",
  "cd / && export container=other && exec /lib/systemd/systemd --show-status=0",
];
