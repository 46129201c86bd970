import { describe, expect, test } from "bun:test";
import * as net from "../../lib/net/ip.ts";
import { Random } from "../support/random.ts";

describe("addresses", () => {
  test("RFC 5952 text of known addresses", () => {
    for (const [given, canonical] of [
      ["::1", "::1"],
      ["0:0:0:0:0:0:0:1", "::1"],
      ["2001:DB8::0:1", "2001:db8::1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
      ["::", "::"],
      ["fd00::", "fd00::"],
      ["::ffff:192.0.2.1", "::ffff:c000:201"],
      ["192.0.2.1", "192.0.2.1"],
    ] as const) {
      expect([given, net.canonicalIp(given)]).toEqual([given, canonical]);
    }
    for (const bad of ["", "1.2.3", "1.2.3.256", "fe80::1%eth0", "::1::", "host", "1.2.3.4/8"])
      expect(net.canonicalIp(bad)).toBeUndefined();
  });

  test("formatting and parsing are inverse, for random addresses with runs of zeros", () => {
    const random = new Random(1);
    const next = (limit: number) => random.below(limit);
    for (let i = 0; i < 2000; i++) {
      const groups = Array.from({ length: 8 }, () => (next(2) === 0 ? 0 : next(65536)));
      const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
      const text = net.formatIp(value, 6);
      expect(net.parseIp(text)).toEqual({ family: 6, value });
      expect(net.ipFromBytes(net.ipBytes(text)!)).toBe(text);
    }
  });
});

describe("networks", () => {
  test("overlap is symmetric and agrees with membership", () => {
    const random = new Random(2);
    const next = (limit: number) => random.below(limit);
    for (let i = 0; i < 2000; i++) {
      const cidr = () => net.parseCidr(`10.${next(4)}.${next(4) * 64}.0/${8 + next(20)}`)!;
      const [a, b] = [cidr(), cidr()];
      expect(net.overlaps(a, b)).toBe(net.overlaps(b, a));
      const share = net.contains(a, net.formatIp(b.base, 4)) || net.contains(b, net.formatIp(a.base, 4));
      expect(net.overlaps(a, b)).toBe(share);
    }
  });

  test("indexed addresses stay inside", () => {
    expect(net.indexedIp(net.parseCidr("10.96.0.0/12")!, 10)).toBe("10.96.0.10");
    expect(net.indexedIp(net.parseCidr("fd00:10:96::/112")!, 10)).toBe("fd00:10:96::a");
    expect(net.indexedIp(net.parseCidr("10.0.0.0/30")!, 4)).toBeUndefined();
    expect(net.parseCidr("10.0.0.0/33")).toBeUndefined();
    expect(net.parseCidr("fd00::/129")).toBeUndefined();
  });
});

test("host and port", () => {
  expect(net.splitHostPort("cluster.lan:6443")).toEqual({ host: "cluster.lan", port: 6443 });
  expect(net.splitHostPort("[fd00::1]:6443")).toEqual({ host: "fd00::1", port: 6443 });
  expect(net.splitHostPort("fd00::1")).toEqual({ host: "fd00::1" });
  for (const bad of ["a:b:c", "[host]:1", "host:99999", "host:0", ":1", ""])
    expect(net.splitHostPort(bad)).toBeUndefined();
  expect(net.joinHostPort("fd00::1", 1)).toBe("[fd00::1]:1");
});
