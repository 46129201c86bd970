import { expect, test } from "bun:test";
import { applyBundleDefaults } from "../../lib/bundle/defaults.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { MINIMAL } from "../support/config.ts";

test("a bundle fills in what the configuration leaves open, and nothing else", () => {
  const image = (name: string) => ({ name, arch: "amd64" });
  const bundle = {
    kubernetesVersion: "v1.35.4",
    images: ["etcd:3.6.6-0", "coredns/coredns:v1.13.1", "kube-apiserver:v1.35.4"].map((n) =>
      image(`registry.k8s.io/${n}`),
    ),
  } as unknown as Parameters<typeof applyBundleDefaults>[1];
  const open = parseConfig(MINIMAL, "f");
  applyBundleDefaults(open, bundle, "amd64");
  expect(open.cluster).toMatchObject({
    kubernetesVersion: "v1.35.4",
    etcd: { local: { imageTag: "3.6.6-0" } },
    dns: { imageTag: "v1.13.1" },
  });
  expect(open.init?.nodeRegistration?.imagePullPolicy).toBe("Never");
  const decided = parseConfig(`${MINIMAL}kubernetesVersion: v1.36.0\nimageRepository: own.example.org\n`, "f");
  applyBundleDefaults(decided, bundle, "amd64");
  expect(decided.cluster).toMatchObject({ kubernetesVersion: "v1.36.0" });
  expect(decided.cluster?.etcd).toBeUndefined();
});
