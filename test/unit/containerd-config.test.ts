import { expect, test } from "bun:test";
import { containerdConfig, mirrorConfig } from "../../lib/runtime/containerd-config.ts";

test("containerd's configuration has the layout of its version", () => {
  const settings = {
    sandboxImage: 'registry.k8s.io/pause:3.10.2"',
    systemdCgroup: true,
    restrictOomScoreAdj: true,
    cniBinDir: "/opt/cni/bin",
    certsDir: "/etc/containerd/certs.d",
  };
  const v1 = Bun.TOML.parse(containerdConfig({ major: 1, ...settings })) as {
    version: number;
    plugins: Record<string, Record<string, unknown>>;
  };
  expect([v1.version, v1.plugins["io.containerd.grpc.v1.cri"]!["sandbox_image"]]).toEqual([2, settings.sandboxImage]);
  expect(v1.plugins["io.containerd.grpc.v1.cri"]!["restrict_oom_score_adj"]).toBe(true);
  const v2 = Bun.TOML.parse(containerdConfig({ major: 2, ...settings })) as typeof v1;
  expect([v2.version, v2.plugins["io.containerd.cri.v1.images"]!["pinned_images"]]).toEqual([
    3,
    { sandbox: settings.sandboxImage },
  ]);
  expect(containerdConfig({ major: 2, ...settings, restrictOomScoreAdj: false })).not.toContain("restrict_oom");
  expect(mirrorConfig("registry.k8s.io", "http://10.0.0.1:5080")).toContain('server = "https://registry.k8s.io"');
});
