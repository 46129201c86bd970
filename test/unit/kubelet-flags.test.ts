import { expect, test } from "bun:test";
import { kubeletFlags } from "../../lib/kubelet/flags.ts";
import { flagsIn } from "../../lib/services/flags-file.ts";

test("kubelet flags survive being written to a file and read back", () => {
  const node = {
    name: "other",
    criSocket: "",
    taints: [{ key: "k", value: "v", effect: "NoSchedule" }],
    kubeletExtraArgs: [{ name: "node-labels", value: 'a="b",c=$d' }],
  };
  const env = kubeletFlags(node, "cp1", { registerTaints: true, nodeIp: "10.0.0.7" });
  expect(flagsIn(env, "KUBELET_KUBEADM_ARGS")).toEqual([
    "--hostname-override=other",
    "--node-ip=10.0.0.7",
    "--register-with-taints=k=v:NoSchedule",
    '--node-labels=a="b",c=$d',
  ]);
  expect(kubeletFlags({ name: "cp1", criSocket: "" }, "cp1")).toBe('KUBELET_KUBEADM_ARGS=""\n');
  expect(flagsIn("nonsense", "KUBELET_KUBEADM_ARGS")).toEqual([]);
});
