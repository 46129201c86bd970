import { expect, test } from "bun:test";
import { corefile } from "../../lib/addons/coredns.ts";

test("CoreDNS forwards only where there is somebody to forward to", () => {
  expect(corefile("cluster.local", true)).toContain("forward . /etc/resolv.conf");
  expect(corefile("cluster.local", false)).not.toContain("forward");
});
