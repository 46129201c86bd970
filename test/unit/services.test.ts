import { expect, test } from "bun:test";
import { kubeletService } from "../../lib/kubelet/service.ts";
import { openrcScript } from "../../lib/services/openrc.ts";
import { systemdUnit } from "../../lib/services/systemd.ts";

test("service definitions start the kubelet with kubeadm's files", () => {
  const spec = kubeletService("/usr/bin/kubelet");
  expect(systemdUnit(spec)).toContain("EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env");
  expect(systemdUnit(spec)).toMatch(
    /^ExecStart=\/usr\/bin\/kubelet .*--config=\/var\/lib\/kubelet\/config.yaml \$KUBELET_KUBEADM_ARGS$/m,
  );
  expect(openrcScript(spec)).toContain("supervisor=supervise-daemon");
  const env = { ...spec, env: { SETTING: "1" } };
  expect(systemdUnit(env)).toMatch(/^Environment=PATH=\/.*\nEnvironment=SETTING=1$/m);
  expect(openrcScript(env)).toMatch(/^export PATH="\$PATH:\/.*"\nexport SETTING="1"$/m);
});
