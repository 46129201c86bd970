import { describe, expect, test } from "bun:test";
import { parseResolvConf } from "../../lib/host/resolv-conf.ts";
import { fitKubeletConfig, kubeletConfig } from "../../lib/kubelet/config.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";

describe("fitting to the host", () => {
  test("each adaptation has a reason, and the user's own word wins", () => {
    const old = {
      cgroupVersion: 1 as const,
      cgroupRoot: undefined,
      swap: true,
      resolvConfs: [parseResolvConf("/etc/resolv.conf", "nameserver 127.0.0.53\n")],
    };
    const shared = kubeletConfig(configFrom(MINIMAL), { ...old, cgroupRoot: "/kubestick-n2" }, "cgroupfs");
    // One node's own: the others do not share its kernel, or have a root of their own.
    expect([shared.local["cgroupRoot"], shared.shared["cgroupRoot"]]).toEqual(["/kubestick-n2", undefined]);
    const fitted = kubeletConfig(configFrom(MINIMAL), old, "cgroupfs");
    expect(fitted.local).toMatchObject({
      failCgroupV1: false,
      failSwapOn: false,
      cgroupDriver: "cgroupfs",
      resolvConf: "/var/lib/kubestick/resolv.conf",
    });
    expect(fitted.adaptations).toHaveLength(4);
    // A path that is only there on this node must not reach the others through the cluster's ConfigMap.
    expect(fitted.shared["resolvConf"]).toBeUndefined();
    const joining = fitKubeletConfig({ ...fitted.shared, cgroupDriver: "systemd" }, FACTS, "cgroupfs");
    expect(joining.local).toMatchObject({ cgroupDriver: "cgroupfs" });
    expect(joining.local["resolvConf"]).toBeUndefined();
    expect(fitKubeletConfig(fitted.shared, old, "cgroupfs").local).toMatchObject({
      resolvConf: "/var/lib/kubestick/resolv.conf",
    });
    expect(fitKubeletConfig({ ...fitted.shared, resolvConf: "/etc/own" }, old, "cgroupfs").local).toMatchObject({
      resolvConf: "/etc/own",
    });
    expect(fitted.adaptations.every((a) => a.why.length > 10)).toBe(true);
    const user = configFrom(
      `${MINIMAL}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: true\nresolvConf: /etc/own\ncgroupDriver: systemd\nfailCgroupV1: true\n`,
    );
    const kept = kubeletConfig(user, old, "cgroupfs");
    expect(kept.local).toMatchObject({
      failSwapOn: true,
      resolvConf: "/etc/own",
      cgroupDriver: "systemd",
      failCgroupV1: true,
    });
    expect(kept.adaptations).toEqual([]);
  });

  test("a kubelet starts again when swap was switched on, unless the user wants it otherwise", () => {
    const host = { ...FACTS, swap: false };
    const fitted = kubeletConfig(configFrom(MINIMAL), host, undefined);
    expect([fitted.shared["failSwapOn"], fitted.local["failSwapOn"], fitted.adaptations]).toEqual([false, false, []]);
    // A cluster that kubeadm made says nothing of it, or what its administrator wants.
    expect(fitKubeletConfig({}, host, "systemd").local["failSwapOn"]).toBe(false);
    expect(fitKubeletConfig({ failSwapOn: true }, host, "systemd").local["failSwapOn"]).toBe(true);
    expect(fitKubeletConfig({ failSwapOn: true }, { ...host, swap: true }, "systemd").local["failSwapOn"]).toBe(false);
    const user = `${MINIMAL}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: true\n`;
    expect(kubeletConfig(configFrom(user), { ...host, swap: true }, "systemd").local["failSwapOn"]).toBe(true);
  });
});
