import { expect, test } from "bun:test";
import { cgroupDriverFromInfo } from "../../lib/runtime/cri.ts";

test("containerd 1.x tells its cgroup driver in its configuration", () => {
  const info = (systemd: boolean | undefined) =>
    JSON.stringify({
      containerd: {
        defaultRuntimeName: "runc",
        runtimes: { runc: { options: systemd === undefined ? null : { SystemdCgroup: systemd } } },
      },
    });
  expect(cgroupDriverFromInfo(info(true))).toBe("systemd");
  expect(cgroupDriverFromInfo(info(false))).toBe("cgroupfs");
  expect(cgroupDriverFromInfo(info(undefined))).toBe("cgroupfs");
  expect(cgroupDriverFromInfo("not json")).toBeUndefined();
});
