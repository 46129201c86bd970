import { expect, test } from "bun:test";
import { kubeProxyConfig } from "../../lib/addons/kube-proxy.ts";
import { configFrom, MINIMAL } from "../support/config.ts";

test("conntrack that is not ours is left alone", () => {
  const { config } = kubeProxyConfig(configFrom(MINIMAL), { max: false, timeouts: false });
  expect(config["conntrack"]).toMatchObject({
    maxPerCore: 0,
    tcpEstablishedTimeout: "0s",
    tcpCloseWaitTimeout: "0s",
  });
  const user = configFrom(
    `${MINIMAL}---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nconntrack: {maxPerCore: 1000}\n`,
  );
  expect(kubeProxyConfig(user, { max: false, timeouts: true }).config["conntrack"]).toMatchObject({
    maxPerCore: 1000,
  });
});
