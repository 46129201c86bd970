import { expect, test } from "bun:test";
import { mountedHierarchies } from "../../lib/host/cgroups.ts";

test("hierarchies are what is mounted, each once", () => {
  const mounts = `tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /run/cgroups/cpu cgroup rw,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
`;
  expect(mountedHierarchies(mounts)).toEqual(["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]);
  expect(mountedHierarchies("")).toEqual([]);
});
